SELECT tenant_id, t.transferor AS agent, count(*) AS passed_on, count(*) FILTER (WHERE t.type = 'ATTENDED') AS attended,
       count(*) FILTER (WHERE t.result = 'COMPLETED') AS completed, count(*) FILTER (WHERE t.inferred) AS inferred
FROM sessions ARRAY JOIN transfers AS t
WHERE record_state = 'FINAL' AND t.transferor IS NOT NULL
GROUP BY ALL ORDER BY passed_on DESC, tenant_id, agent
LIMIT 10;
