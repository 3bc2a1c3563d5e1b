SELECT provider, count(*) AS answered, count(ring_ms) AS with_ring_time, round(quantileExactInclusive(0.5)(ring_ms), 2) AS median_ms,
       round(quantileExactInclusive(0.95)(ring_ms), 2) AS p95_ms, max(ring_ms) AS longest_ms
FROM sessions
WHERE record_state = 'FINAL' AND answered_at IS NOT NULL
GROUP BY ALL ORDER BY provider;
