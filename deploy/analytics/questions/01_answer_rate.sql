-- What share of the calls that come in does a person answer, by tenant and hour?
-- A voice menu's answer is not a person's. Calls of which it is not known are left out.
SELECT tenant_id, date_trunc('hour', coalesce(started_at, first_event_at)) AS hour, count(*) AS calls,
       count(*) FILTER (WHERE disposition = 'ANSWERED') AS answered, round(100 * answered / calls, 1) AS percent
FROM sessions
WHERE record_state = 'FINAL' AND direction = 'INBOUND' AND disposition <> 'UNKNOWN'
GROUP BY ALL ORDER BY tenant_id, hour;
