-- How many callers gave up before a person answered, and how long had they waited?
-- While it rang: CANCELED. In the menu or queue, before anybody was called: NO_ANSWER with a
-- normal end. Sonetel does not tell who gave up, so its calls are left out.
WITH incoming AS (
  SELECT tenant_id, total_ms, disposition = 'CANCELED' AS ringing, disposition = 'NO_ANSWER' AND hangup_cause = 'NORMAL' AS menu
  FROM sessions WHERE record_state = 'FINAL' AND direction = 'INBOUND' AND provider <> 'sonetel'
)
SELECT tenant_id, count(*) AS calls, count(*) FILTER (WHERE ringing) AS while_ringing, count(*) FILTER (WHERE menu) AS in_the_menu,
       round(100 * (while_ringing + in_the_menu) / calls, 1) AS percent,
       round(quantile_cont(total_ms, 0.5) FILTER (WHERE ringing OR menu), 2) AS median_wait_ms,
       max(total_ms) FILTER (WHERE ringing OR menu) AS longest_wait_ms
FROM incoming
GROUP BY ALL ORDER BY tenant_id;
