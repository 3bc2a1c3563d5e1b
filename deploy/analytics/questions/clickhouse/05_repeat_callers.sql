SELECT tenant_id, from_e164 AS caller, count(*) AS calls,
       arrayStringConcat(arrayMap(x -> x.2, arraySort(groupArray((first_event_at, disposition)))), ', ') AS outcomes,
       date_diff('minute', min(first_event_at), max(first_event_at)) AS within_minutes
FROM sessions
WHERE record_state = 'FINAL' AND direction = 'INBOUND' AND from_e164 IS NOT NULL
GROUP BY tenant_id, caller HAVING calls > 1
ORDER BY calls DESC, tenant_id, caller;
