-- How many callers end at voicemail, and how many leave a message?
-- Opentact and Bandwidth tell of voicemail, and Bandwidth of the recordings too.
SELECT provider, count(*) AS calls, count(*) FILTER (WHERE disposition = 'VOICEMAIL') AS voicemail,
       round(100 * voicemail / calls, 1) AS percent,
       count(*) FILTER (WHERE disposition = 'VOICEMAIL' AND len(recordings) > 0) AS with_message,
       round(avg(recordings[1].duration_ms) FILTER (WHERE disposition = 'VOICEMAIL') / 1000, 1) AS average_s
FROM sessions
WHERE record_state = 'FINAL' AND direction = 'INBOUND'
GROUP BY ALL ORDER BY provider;
