-- Which agents pass on the most calls, and how?
-- The transferor is the agent, or the number that was called, as the provider names it.
-- Inferred: no event tells of the transfer, but the legs do.
SELECT tenant_id, t.transferor AS agent, count(*) AS passed_on, count(*) FILTER (WHERE t.type = 'ATTENDED') AS attended,
       count(*) FILTER (WHERE t.result = 'COMPLETED') AS completed, count(*) FILTER (WHERE t.inferred) AS inferred
FROM sessions, UNNEST(transfers) AS u(t)
WHERE record_state = 'FINAL' AND t.transferor IS NOT NULL
GROUP BY ALL ORDER BY passed_on DESC, tenant_id, agent
LIMIT 10;
