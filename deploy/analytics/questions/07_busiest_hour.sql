-- When is the most going on: calls begun, minutes they talked, and calls at one moment?
-- The level before a step counts too: an hour may begin with the calls of the one before.
WITH steps AS (
  SELECT started_at AS moment, 1 AS step FROM sessions WHERE record_state = 'FINAL' AND started_at < ended_at
  UNION ALL SELECT ended_at, -1 FROM sessions WHERE record_state = 'FINAL' AND started_at < ended_at
), level AS (
  SELECT moment, step, sum(step) OVER (ORDER BY moment, step ROWS UNBOUNDED PRECEDING) AS calls FROM steps
), peak AS (
  SELECT date_trunc('hour', moment) AS hour, max(greatest(calls, calls - step)) AS at_once FROM level GROUP BY ALL
), hours AS (
  SELECT date_trunc('hour', started_at) AS hour, count(*) AS calls, round(sum(talk_ms) / 60000, 1) AS talk_minutes
  FROM sessions WHERE record_state = 'FINAL' AND started_at IS NOT NULL GROUP BY ALL
)
SELECT hour, calls, talk_minutes, at_once FROM hours JOIN peak USING (hour)
ORDER BY calls DESC, hour;
