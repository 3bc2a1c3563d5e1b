-- Does it add up: is every raw record accounted for, and every event in one session?
-- read = decoded + ignored + rejected, events = accepted + duplicate + others, and
-- accepted = in_events = in_sessions = joined, where joined goes from event to leg to session.
SELECT sum(read) AS read, sum(decoded) AS decoded, sum(ignored) AS ignored, sum(rejected) AS rejected,
       sum(events) AS events, sum(accepted) AS accepted, sum(duplicate) AS duplicate, sum(conflicting + late) AS others,
       (SELECT count(*) FROM events) AS in_events, (SELECT sum(event_count) FROM sessions) AS in_sessions,
       (SELECT count(*) FROM events JOIN legs USING (leg_id) JOIN sessions USING (session_id)) AS joined
FROM audit;
