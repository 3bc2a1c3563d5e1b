WITH changed AS (
  SELECT session_id FROM sessions WHERE amended AND kafka_timestamp > now() - INTERVAL 1 DAY
), versions AS (
  SELECT session_id, provider, argMin((disposition, talk_ms, leg_count, complete), record_version) AS first,
         argMax((disposition, talk_ms, leg_count, complete), record_version) AS last
  FROM sessions_log
  WHERE record_state = 'FINAL' AND session_id IN changed GROUP BY ALL
)
SELECT provider, count(*) AS calls,
       count(*) FILTER (WHERE first.1 <> last.1) AS other_outcome,
       count(*) FILTER (WHERE first.2 IS DISTINCT FROM last.2) AS other_talk_time,
       count(*) FILTER (WHERE first.3 <> last.3) AS other_legs,
       count(*) FILTER (WHERE last.4 AND NOT first.4) AS now_complete
FROM versions
GROUP BY ALL ORDER BY provider;
