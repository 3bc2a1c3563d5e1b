package schemas

import "callstitch/processor/call"

func describeEvent(w writer, e *call.EventRecord) {
	w.hex("event_id", e.ID[:])
	w.text("tenant_id", e.Tenant)
	w.text("provider", e.Provider.String())
	w.optText("provider_account_id", e.Account)
	w.optText("scope", e.Scope)
	w.hex("leg_id", e.Leg[:])
	w.optText("provider_event_id", e.ProviderID)
	w.text("provider_call_id", e.CallID)
	w.optText("provider_parent_call_id", e.ParentCallID)
	linkKeys(w, e.Links)
	w.text("event_type", e.Type.String())
	w.text("provider_event_type", e.ProviderType)
	w.optText("provider_state", e.ProviderState)
	instant(w, "event_time", "event_time_src", e.Time)
	w.optInteger("event_time_precision_ms", intType, int64(e.Time.Precision), e.Time.Known())
	moment(w, "reported_at", e.ReportedAt)
	w.optInteger("ingested_at", timeType, e.IngestedAt, e.IngestedAt != 0)
	w.integer("processed_at", timeType, int64(e.ProcessedAt))
	instant(w, "started_at", "started_at_src", e.Started)
	instant(w, "ringing_at", "ringing_at_src", e.Ringing)
	instant(w, "answered_at", "answered_at_src", e.Answered)
	instant(w, "ended_at", "ended_at_src", e.Ended)
	w.text("direction", e.Direction.String())
	party(w, "from_raw", "from_e164", "from_kind", &e.From)
	party(w, "to_raw", "to_e164", "to_kind", &e.To)
	w.optText("hangup_party", e.HangupParty.String())
	w.optText("hangup_cause", e.HangupCause.String())
	code(w, "q850_cause", "q850_src", e.Q850)
	code(w, "sip_status", "sip_src", e.SIPStatus)
	w.optText("provider_cause_code", e.ProviderCauseCode)
	w.optText("provider_cause", e.ProviderCause)
	optLong(w, "provider_duration_s", e.ProviderDuration)
	optLong(w, "provider_talk_s", e.ProviderTalk)
	w.text("answered_by", e.AnsweredBy.String())
	w.boolean("platform_answer", e.PlatformAnswer)
	w.boolean("voicemail", e.Voicemail)
	w.boolean("agent_left", e.AgentLeft)
	describeRecordingFact(w, &e.Recording)
	w.optText("conference_id", e.ConferenceID)
	w.optText("transfer_type", e.TransferType.String())
	w.optText("transfer_target_raw", e.TransferTarget)
	w.boolean("late", e.Late)
	w.integer("lateness_ms", longType, e.LatenessMS)
	flags(w, "flags", e.Flags|e.Remarks)
	w.text("src_topic", e.Source.Topic)
	w.integer("src_partition", intType, int64(e.Source.Partition))
	w.integer("src_offset", longType, e.Source.Offset)
	w.hex("raw_sha256", e.SHA256[:])
	w.text("decoder", e.Provider.String())
	w.text("decoder_version", call.DecoderVersion)
	w.dictionary("attributes", e.Attributes)
}

func describeRecordingFact(w writer, r *call.RecordingFact) {
	w.optText("recording_id", r.ID)
	w.optText("recording_status", r.Status.String())
	w.optText("recording_url", r.URL)
	moment(w, "recording_started_at", r.StartedAt)
	optLong(w, "recording_duration_ms", r.DurationMS)
	optInt(w, "recording_channels", r.Channels)
	w.optText("recording_format", r.Format)
	moment(w, "recording_available_at", r.AvailableAt)
	w.boolean("recording_transcribed", r.Transcribed)
}

func describeSession(w writer, s *call.Session) {
	w.hex("session_id", s.ID[:])
	w.text("tenant_id", s.Tenant)
	w.text("provider", s.Provider.String())
	w.optText("provider_account_id", s.Account)
	w.text("record_state", s.State.String())
	version(w, s.Generation, s.Revision)
	w.text("change_reason", s.ChangeReason.String())
	w.boolean("amended", s.Amended)
	w.optText("close_reason", s.CloseReason.String())
	optLeg(w, "superseded_by", s.SupersededBy)
	mergedSessions(w, s.MergedSessionIDs)
	w.text("direction", s.Direction.String())
	party(w, "from_raw", "from_e164", "from_kind", &s.From)
	party(w, "to_raw", "to_e164", "to_kind", &s.To)
	w.text("disposition", s.Disposition.String())
	w.text("answered_by", s.AnsweredBy.String())
	instant(w, "started_at", "started_at_src", s.Started)
	instant(w, "ringing_at", "ringing_at_src", s.Ringing)
	instant(w, "platform_answered_at", "platform_answered_at_src", s.PlatformAnswered)
	instant(w, "answered_at", "answered_at_src", s.Answered)
	instant(w, "ended_at", "ended_at_src", s.Ended)
	optLong(w, "ring_ms", s.RingMS)
	optLong(w, "talk_ms", s.TalkMS)
	optLong(w, "hold_ms", s.HoldMS)
	optLong(w, "queue_ms", s.QueueMS)
	optLong(w, "total_ms", s.TotalMS)
	optLong(w, "leg_talk_ms_sum", s.LegTalkMSSum)
	optLong(w, "provider_duration_s", s.ProviderDuration)
	optLong(w, "duration_mismatch_ms", s.DurationMismatchMS)
	w.optText("hangup_party", s.HangupParty.String())
	w.optText("hangup_cause", s.HangupCause.String())
	code(w, "q850_cause", "q850_src", s.Q850)
	code(w, "sip_status", "sip_src", s.SIPStatus)
	w.optText("provider_cause", s.ProviderCause)
	count(w, "leg_count", s.LegCount)
	count(w, "answered_leg_count", s.AnsweredLegCount)
	count(w, "transfer_count", s.TransferCount)
	count(w, "participant_count", s.ParticipantCount)
	w.optText("conference_id", s.ConferenceID)
	w.boolean("start_lost", s.StartLost)
	w.boolean("interim_lost", s.InterimLost)
	w.boolean("end_lost", s.EndLost)
	w.boolean("complete", s.Complete)
	flags(w, "quality_flags", s.Flags)
	correlationMethods(w, s.CorrelationMethods)
	count(w, "event_count", s.EventCount)
	count(w, "duplicate_count", s.DuplicateCount)
	count(w, "late_event_count", s.LateEventCount)
	count(w, "out_of_order_count", s.OutOfOrderCount)
	source(w, "first_src_topic", "first_src_partition", "first_src_offset", s.FirstSource)
	source(w, "last_src_topic", "last_src_partition", "last_src_offset", s.LastSource)
	moment(w, "first_event_at", s.FirstEventAt)
	moment(w, "last_event_at", s.LastEventAt)
	w.integer("emitted_at", timeType, int64(s.EmittedAt))
	list(w, "legs", s.Legs, describeLegSummary)
	w.boolean("legs_truncated", s.LegsTruncated)
	list(w, "transfers", s.Transfers, describeTransfer)
	list(w, "recordings", s.Recordings, describeRecording)
	list(w, "timeline", s.Timeline, describeMoment)
	w.boolean("timeline_truncated", s.TimelineTruncated)
	w.dictionary("attributes", s.Attributes)
}

func describeLegSummary(w writer, l *call.LegSummary) {
	w.hex("leg_id", l.ID[:])
	w.text("role", l.Role.String())
	optLeg(w, "parent_leg_id", l.ParentLeg)
	w.text("provider_call_id", l.CallID)
	w.optText("from_e164", l.FromE164)
	w.optText("to_e164", l.ToE164)
	w.optInteger("started_at", timeType, int64(l.Started.At), l.Started.Known())
	w.optInteger("answered_at", timeType, int64(l.Answered.At), l.Answered.Known())
	w.optInteger("ended_at", timeType, int64(l.Ended.At), l.Ended.Known())
	w.text("disposition", l.Disposition.String())
	w.optText("hangup_cause", l.HangupCause.String())
}

func describeTransfer(w writer, t *call.Transfer) {
	moment(w, "at", t.At)
	w.text("type", t.Type.String())
	optLeg(w, "from_leg_id", t.FromLeg)
	optLeg(w, "to_leg_id", t.ToLeg)
	w.optText("transferor", t.Transferor)
	w.text("result", t.Result.String())
	w.boolean("inferred", t.Inferred)
}

func describeRecording(w writer, r *call.Recording) {
	w.text("recording_id", r.ID)
	leg := &r.Leg
	if *leg == (call.LegID{}) {
		leg = nil
	}
	optLeg(w, "leg_id", leg)
	w.optText("status", r.Status.String())
	moment(w, "started_at", r.StartedAt)
	optLong(w, "duration_ms", r.DurationMS)
	optInt(w, "channels", r.Channels)
	w.optText("format", r.Format)
	w.optText("url", r.URL)
	moment(w, "available_at", r.AvailableAt)
	w.boolean("transcribed", r.Transcribed)
}

func describeMoment(w writer, m *call.Moment) {
	w.optInteger("at", timeType, int64(m.At), m.Src != call.NoEvidence)
	w.text("event_type", m.Type.String())
	w.hex("leg_id", m.Leg[:])
	w.optText("src", m.Src.String())
}

func describeLeg(w writer, l *call.Leg) {
	w.hex("leg_id", l.ID[:])
	w.hex("session_id", l.SessionID[:])
	w.text("tenant_id", l.Tenant)
	w.text("provider", l.Provider.String())
	w.optText("provider_account_id", l.Account)
	w.text("provider_call_id", l.CallID)
	w.optText("provider_parent_call_id", l.ParentCallID)
	optLeg(w, "parent_leg_id", l.ParentLeg)
	w.text("role", l.Role.String())
	version(w, l.Generation, l.Revision)
	w.text("direction", l.Direction.String())
	party(w, "from_raw", "from_e164", "from_kind", &l.From)
	party(w, "to_raw", "to_e164", "to_kind", &l.To)
	w.text("disposition", l.Disposition.String())
	w.text("answered_by", l.AnsweredBy.String())
	instant(w, "started_at", "started_at_src", l.Started)
	instant(w, "ringing_at", "ringing_at_src", l.Ringing)
	instant(w, "answered_at", "answered_at_src", l.Answered)
	instant(w, "ended_at", "ended_at_src", l.Ended)
	optLong(w, "ring_ms", l.RingMS)
	optLong(w, "talk_ms", l.TalkMS)
	optLong(w, "total_ms", l.TotalMS)
	optLong(w, "provider_duration_s", l.ProviderDuration)
	optLong(w, "provider_talk_s", l.ProviderTalk)
	w.optText("hangup_party", l.HangupParty.String())
	w.optText("hangup_cause", l.HangupCause.String())
	code(w, "q850_cause", "q850_src", l.Q850)
	code(w, "sip_status", "sip_src", l.SIPStatus)
	w.optText("provider_cause", l.ProviderCause)
	w.optText("conference_id", l.ConferenceID)
	w.boolean("start_lost", l.StartLost)
	w.boolean("interim_lost", l.InterimLost)
	w.boolean("end_lost", l.EndLost)
	w.boolean("complete", l.Complete)
	flags(w, "quality_flags", l.Flags)
	count(w, "event_count", l.EventCount)
	count(w, "duplicate_count", l.DuplicateCount)
	count(w, "late_event_count", l.LateEventCount)
	count(w, "out_of_order_count", l.OutOfOrderCount)
	moment(w, "first_event_at", l.FirstEventAt)
	moment(w, "last_event_at", l.LastEventAt)
	w.integer("emitted_at", timeType, int64(l.EmittedAt))
	w.dictionary("attributes", l.Attributes)
}

func describeAudit(w writer, a *call.Audit) {
	w.text("topic", a.Topic)
	w.integer("partition", intType, int64(a.Partition))
	w.integer("next_offset", longType, a.NextOffset)
	w.integer("read", longType, a.Read)
	w.integer("decoded", longType, a.Decoded)
	w.integer("ignored", longType, a.Ignored)
	w.integer("rejected", longType, a.Rejected)
	w.integer("events", longType, a.Events)
	w.integer("accepted", longType, a.Accepted)
	w.integer("duplicate", longType, a.Duplicate)
	w.integer("conflicting", longType, a.Conflicting)
	w.integer("late", longType, a.Late)
	w.integer("closed_at", timeType, int64(a.ClosedAt))
}

// instant is a field and, beside it, how its value was obtained.
func instant(w writer, name, src string, i call.Instant) {
	if i == call.Sometime() {
		i = call.Instant{}
	}
	w.optInteger(name, timeType, int64(i.At), i.Known())
	w.optText(src, i.Src.String())
}

// moment is an instant of which nothing but the time is kept.
func moment(w writer, name string, at call.Time) {
	w.optInteger(name, timeType, int64(at), at.Known())
}

func count(w writer, name string, n int32) { w.integer(name, intType, int64(n)) }

func optLong(w writer, name string, i call.Int) { w.optInteger(name, longType, i.N, i.Known) }

// optInt is null also where the number is no int: it was not a sensible one.
func optInt(w writer, name string, i call.Int) {
	w.optInteger(name, intType, i.N, i.Known && int64(int32(i.N)) == i.N)
}

func optLeg(w writer, name string, id *call.LegID) {
	if id == nil {
		w.optHex(name, nil)
		return
	}
	w.optHex(name, id[:])
}

func code(w writer, name, src string, c call.Code) {
	w.optInteger(name, intType, int64(c.N), c.Known())
	w.optText(src, c.Src.String())
}

// party is one end of a call. A kind says nothing where there is no address.
func party(w writer, raw, e164, kind string, p *call.Party) {
	w.optText(raw, p.Raw)
	w.optText(e164, p.E164)
	if *p == (call.Party{}) {
		w.optText(kind, "")
		return
	}
	w.optText(kind, p.Kind.String())
}

func source(w writer, topic, partition, offset string, s *call.Source) {
	if s == nil {
		s = &call.Source{}
	}
	known := s.Topic != ""
	w.optText(topic, s.Topic)
	w.optInteger(partition, intType, int64(s.Partition), known)
	w.optInteger(offset, longType, s.Offset, known)
}

// version makes one column that grows with every revision and, above that,
// with every deliberate reprocess.
func version(w writer, generation, revision int32) {
	w.integer("revision", intType, int64(revision))
	w.integer("generation", intType, int64(generation))
	w.integer("record_version", longType, int64(generation)<<32|int64(revision))
}

func list[T any](w writer, name string, elements []T, describe func(writer, *T)) {
	w.array(name, len(elements))
	for i := range elements {
		w.record()
		describe(w, &elements[i])
		w.endRecord()
	}
	w.endArray()
}

func linkKeys(w writer, links []call.Link) {
	w.array("link_keys", len(links))
	for i := range links {
		w.pairElement(links[i].Kind.String(), links[i].Value)
	}
	w.endArray()
}

func mergedSessions(w writer, ids []call.LegID) {
	w.array("merged_session_ids", len(ids))
	for i := range ids {
		w.hexElement(ids[i][:])
	}
	w.endArray()
}

func correlationMethods(w writer, kinds []call.LinkKind) {
	w.array("correlation_methods", len(kinds))
	for _, k := range kinds {
		w.element(k.String())
	}
	w.endArray()
}

func flags(w writer, name string, f call.Flags) {
	words := f.Words()
	w.array(name, len(words))
	for _, word := range words {
		w.element(word)
	}
	w.endArray()
}
