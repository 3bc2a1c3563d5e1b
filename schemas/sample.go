package schemas

import "callstitch/processor/call"

// sample is a fixed record of which every field is known, with one attribute:
// the order of goavro's maps is not fixed. Numbers are fictional.
func (s Subject) sample() call.Output {
	return [...]func() call.Output{sampleEvent, sampleSession, sampleLeg, sampleAudit}[s]()
}

const sampleTime = 1767225600000 // 2026-01-01T00:00:00Z

func sampleInstant(ms call.Time, src call.Evidence) call.Instant {
	return call.Instant{At: sampleTime + ms, Src: src, Precision: 1}
}

var (
	sampleCaller    = call.Party{Raw: "15550101234", E164: "+15550101234", Kind: call.PartyPSTN}
	sampleCallee    = call.Party{Raw: "sip:desk@example.com", E164: "+15550105678", Kind: call.PartySIP}
	sampleProvider  = call.Providers()[0]
	sampleA         = call.NewLegID("acme", sampleProvider, "", "call-a")
	sampleB         = call.NewLegID("acme", sampleProvider, "", "call-b")
	sampleAttribute = []call.Attribute{{Key: "tag", Value: "caf\u00e9 \"7\""}}
	sampleQ850      = call.Code{N: 16, Src: call.CodeReported}
	sampleSIP       = call.Code{N: 487, Src: call.CodeMapped}
)

func sampleEvent() call.Output {
	return &call.EventRecord{Event: &call.Event{
		ID: call.NewEventID(sampleB, "event-1"), IDKind: call.IDExact,
		Tenant: "acme", Provider: sampleProvider, Scope: "eu-1", CallID: "call-b", Leg: sampleB,
		Type: call.EventCallEnded, ProviderType: "call.hangup", ProviderState: "finished", ProviderID: "event-1",
		ParentCallID: "call-a", Account: "account-7",
		Time: sampleInstant(61_000, call.EvidenceEvent), ReportedAt: sampleTime + 61_100, IngestedAt: sampleTime + 61_200,
		Started: sampleInstant(1_000, call.EvidenceReported), Ringing: sampleInstant(2_000, call.EvidenceEvent),
		Answered: sampleInstant(3_000, call.EvidenceSnapshot), Ended: sampleInstant(61_000, call.EvidenceDerived),
		Direction: call.DirectionOutbound, From: sampleCaller, To: sampleCallee,
		Ending: call.Ending{
			HangupParty: call.HangupByCallee, HangupCause: call.CauseNormal, Q850: sampleQ850, SIPStatus: sampleSIP,
			ProviderCause: "Normal call clearing", ProviderCauseCode: "200",
		},
		ProviderDuration: call.Some(60), ProviderTalk: call.Some(58),
		AnsweredBy: call.AnswererHuman, PlatformAnswer: true, Voicemail: true, AgentLeft: true,
		Recording: call.RecordingFact{
			ID: "rec-1", Status: call.RecordingAvailable, URL: "https://media.example.com/rec-1",
			StartedAt: sampleTime + 3_100, DurationMS: call.Some(57_000), Channels: call.Some(2), Format: "wav",
			AvailableAt: sampleTime + 70_000, Transcribed: true,
		},
		ConferenceID: "conf-1", TransferType: call.TransferAttended, TransferTarget: "15550109999",
		Links:      []call.Link{{Kind: call.LinkParent, Value: "call-a"}, {Kind: call.LinkTag, Value: "t"}},
		Attributes: sampleAttribute, Flags: call.FlagClockSkew | call.FlagZonelessTime,
		Source: call.Source{Topic: "call.raw", Partition: 3, Offset: 70_000}, SHA256: [32]byte{1, 2, 254, 255},
	}, ProcessedAt: sampleTime + 61_200, Late: true, LatenessMS: 200}
}

func sampleSession() call.Output {
	return &call.Session{
		ID: sampleA, Tenant: "acme", Provider: sampleProvider, Account: "account-7",
		State: call.StateSuperseded, Revision: 3, Generation: 2, ChangeReason: call.ChangeSuperseded, Amended: true,
		CloseReason: call.ClosedMerged, SupersededBy: &sampleB, MergedSessionIDs: []call.LegID{sampleA, sampleB},
		Direction: call.DirectionInbound, From: sampleCaller, To: sampleCallee,
		Disposition: call.DispositionAnswered, AnsweredBy: call.AnswererHuman,
		Started: sampleInstant(0, call.EvidenceReported), Ringing: sampleInstant(2_000, call.EvidenceEvent),
		PlatformAnswered: sampleInstant(500, call.EvidenceSnapshot), Answered: sampleInstant(3_000, call.EvidenceDerived),
		Ended:  sampleInstant(61_000, call.EvidenceTimeout),
		RingMS: call.Some(1_000), TalkMS: call.Some(58_000), HoldMS: call.Some(4_000), QueueMS: call.Some(5_000),
		TotalMS: call.Some(61_000), LegTalkMSSum: call.Some(118_000), ProviderDuration: call.Some(60),
		DurationMismatchMS: call.Some(-1_000),
		HangupParty:        call.HangupByTransfer, HangupCause: call.CauseTransferred, Q850: sampleQ850, SIPStatus: sampleSIP,
		ProviderCause: "Normal call clearing",
		LegCount:      2, AnsweredLegCount: 1, TransferCount: 1, ParticipantCount: 3, ConferenceID: "conf-1",
		StartLost: true, InterimLost: true, EndLost: true, Complete: true,
		Flags: call.FlagLinkOverflow | call.FlagBadInstant, CorrelationMethods: []call.LinkKind{call.LinkFlow, call.LinkParent},
		LegsTruncated: true, TimelineTruncated: true,
		EventCount: 9, DuplicateCount: 2, LateEventCount: 1, OutOfOrderCount: 3,
		FirstSource:  &call.Source{Topic: "call.raw", Partition: 3, Offset: 7},
		LastSource:   &call.Source{Topic: "call.raw", Partition: 4, Offset: 70_000},
		FirstEventAt: sampleTime, LastEventAt: sampleTime + 61_000, EmittedAt: sampleTime + 91_000,
		Legs: []call.LegSummary{{
			ID: sampleB, Role: call.RoleDestination, ParentLeg: &sampleA, CallID: "call-b",
			FromE164: "+15550101234", ToE164: "+15550105678", Started: sampleInstant(1_000, call.EvidenceReported),
			Answered: sampleInstant(3_000, call.EvidenceSnapshot), Ended: sampleInstant(61_000, call.EvidenceTimeout),
			Disposition: call.DispositionAnswered, HangupCause: call.CauseTransferred,
		}},
		Transfers: []call.Transfer{{
			At: sampleTime + 30_000, Type: call.TransferAttended, FromLeg: &sampleA, ToLeg: &sampleB,
			Transferor: "15550101234", Result: call.ResultCompleted, Inferred: true,
		}},
		Recordings: []call.Recording{{
			ID: "rec-1", Leg: sampleB, Status: call.RecordingPartial, StartedAt: sampleTime + 3_100,
			DurationMS: call.Some(57_000), Channels: call.Some(2), Format: "wav", URL: "https://media.example.com/rec-1",
			AvailableAt: sampleTime + 70_000, Transcribed: true,
		}},
		Timeline: []call.Moment{
			{At: sampleTime, Type: call.EventCallInitiated, Leg: sampleA, Src: call.EvidenceReported},
			{At: sampleTime + 61_000, Type: call.EventCallEnded, Leg: sampleB, Src: call.EvidenceTimeout},
		},
		Attributes: sampleAttribute,
	}
}

func sampleLeg() call.Output {
	return &call.Leg{
		ID: sampleB, SessionID: sampleA, Tenant: "acme", Provider: sampleProvider, Account: "account-7",
		CallID: "call-b", ParentCallID: "call-a", ParentLeg: &sampleA, Role: call.RoleTransferTarget,
		Revision: 3, Generation: 2, Direction: call.DirectionInternal, From: sampleCaller, To: sampleCallee,
		AnsweredBy: call.AnswererMachine, Disposition: call.DispositionVoicemail,
		Started: sampleInstant(1_000, call.EvidenceReported), Ringing: sampleInstant(2_000, call.EvidenceEvent),
		Answered: sampleInstant(3_000, call.EvidenceSnapshot), Ended: sampleInstant(61_000, call.EvidenceIngest),
		RingMS: call.Some(1_000), TalkMS: call.Some(58_000), TotalMS: call.Some(60_000),
		ProviderDuration: call.Some(60), ProviderTalk: call.Some(58),
		HangupParty: call.HangupByCaller, HangupCause: call.CauseNormal, Q850: sampleQ850, SIPStatus: sampleSIP,
		ProviderCause: "Normal call clearing",
		StartLost:     true, InterimLost: true, EndLost: true, Complete: true,
		Flags: call.FlagDurationMismatch, ConferenceID: "conf-1",
		EventCount: 5, DuplicateCount: 1, LateEventCount: 1, OutOfOrderCount: 2,
		FirstEventAt: sampleTime + 1_000, LastEventAt: sampleTime + 61_000, EmittedAt: sampleTime + 91_000,
		Attributes: sampleAttribute,
	}
}

func sampleAudit() call.Output {
	return &call.Audit{
		Topic: "call.raw", Partition: 3, NextOffset: 70_001, Read: 1_000, Decoded: 900, Ignored: 60, Rejected: 40,
		Events: 1_100, Accepted: 950, Duplicate: 120, Conflicting: 10, Late: 20, ClosedAt: sampleTime,
	}
}
