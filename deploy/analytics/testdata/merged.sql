SELECT (SELECT count(*) FROM sessions) AS calls, count(*) AS merged,
       (SELECT count(*) FROM (SELECT to_json(s) FROM sessions AS s EXCEPT SELECT to_json(s) FROM sessions_last AS s)) AS stale,
       (SELECT count(*) FROM (SELECT leg_id, record_version FROM legs EXCEPT SELECT leg_id, record_version FROM legs_last)) AS stale_legs
FROM sessions_last WHERE record_state <> 'SUPERSEDED';
