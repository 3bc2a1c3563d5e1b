SELECT provider, count(*) AS calls, count(*) FILTER (WHERE disposition = 'VOICEMAIL') AS voicemail,
       round(100 * voicemail / calls, 1) AS percent,
       count(*) FILTER (WHERE disposition = 'VOICEMAIL' AND notEmpty(recordings)) AS with_message,
       round(avg(recordings[1].duration_ms) FILTER (WHERE disposition = 'VOICEMAIL' AND notEmpty(recordings)) / 1000, 1) AS average_s
FROM sessions
WHERE record_state = 'FINAL' AND direction = 'INBOUND'
GROUP BY ALL ORDER BY provider;
