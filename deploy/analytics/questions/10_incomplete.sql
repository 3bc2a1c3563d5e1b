-- Of which calls is the evidence incomplete, and what is not known of them?
-- Sonetel sends no times: its instants are those of arrival, which the flag says.
SELECT provider, count(*) AS calls, count(*) FILTER (WHERE NOT complete) AS incomplete,
       count(*) FILTER (WHERE start_lost) AS start_lost, count(*) FILTER (WHERE interim_lost) AS interim_lost,
       count(*) FILTER (WHERE end_lost) AS end_lost, count(*) FILTER (WHERE talk_ms IS NULL) AS talk_time_unknown,
       count(*) FILTER (WHERE list_contains(quality_flags, 'TIMES_INFERRED')) AS times_inferred
FROM sessions
WHERE record_state = 'FINAL'
GROUP BY ALL ORDER BY provider;
