-- How long does it ring before a person answers?
-- Bandwidth and Sonetel do not tell when it rings: their ring_ms is null, not zero.
SELECT provider, count(*) AS answered, count(ring_ms) AS with_ring_time, round(quantile_cont(ring_ms, 0.5), 2) AS median_ms,
       round(quantile_cont(ring_ms, 0.95), 2) AS p95_ms, max(ring_ms) AS longest_ms
FROM sessions
WHERE record_state = 'FINAL' AND answered_at IS NOT NULL
GROUP BY ALL ORDER BY provider;
