-- Why do calls end that nobody answers, by provider?
SELECT coalesce(hangup_cause, 'not told') AS cause, count(*) AS calls,
       count(*) FILTER (WHERE provider = 'bandwidth') AS bandwidth, count(*) FILTER (WHERE provider = 'opentact') AS opentact,
       count(*) FILTER (WHERE provider = 'sonetel') AS sonetel, count(*) FILTER (WHERE provider = 'stringee') AS stringee
FROM sessions
WHERE record_state = 'FINAL' AND disposition NOT IN ('ANSWERED', 'VOICEMAIL')
GROUP BY ALL ORDER BY calls DESC, cause;
