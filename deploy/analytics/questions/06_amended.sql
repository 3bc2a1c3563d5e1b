-- Which closed calls have been amended since yesterday, and in what?
-- When a record was written is its Kafka timestamp; first is what was said at the close.
WITH changed AS (
  SELECT session_id FROM sessions WHERE amended AND kafka_timestamp > now() - INTERVAL 1 DAY
), versions AS (
  SELECT session_id, provider, arg_min(s, record_version) AS first, arg_max(s, record_version) AS last
  FROM sessions_log AS s SEMI JOIN changed USING (session_id)
  WHERE record_state = 'FINAL' GROUP BY ALL
)
SELECT provider, count(*) AS calls,
       count(*) FILTER (WHERE first.disposition <> last.disposition) AS other_outcome,
       count(*) FILTER (WHERE first.talk_ms IS DISTINCT FROM last.talk_ms) AS other_talk_time,
       count(*) FILTER (WHERE first.leg_count <> last.leg_count) AS other_legs,
       count(*) FILTER (WHERE last.complete AND NOT first.complete) AS now_complete
FROM versions
GROUP BY ALL ORDER BY provider;
