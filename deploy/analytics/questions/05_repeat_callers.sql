-- Who called a tenant more than once, and was a person reached in the end?
-- Callers who withhold their number cannot be told apart, and are left out.
SELECT tenant_id, from_e164 AS caller, count(*) AS calls, string_agg(disposition, ', ' ORDER BY first_event_at) AS outcomes,
       date_diff('minute', min(first_event_at), max(first_event_at)) AS within_minutes
FROM sessions
WHERE record_state = 'FINAL' AND direction = 'INBOUND' AND from_e164 IS NOT NULL
GROUP BY ALL HAVING calls > 1
ORDER BY calls DESC, tenant_id, caller;
