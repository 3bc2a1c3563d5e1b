package decode

import (
	"slices"
	"strconv"

	"callstitch/processor/call"
)

// Scheme is the numbering or wording that a cause code belongs to.
type Scheme string

// The schemes that providers share; a provider's own is in its file. What
// FreeSWITCH numbers beyond 127 is its own and no Q.850; since June 2022 it has
// other numbers than before.
const (
	Q850Scheme       Scheme = "q850"
	FreeSwitchScheme Scheme = "freeswitch"
	SIPScheme        Scheme = "sip"
)

// CauseRow is what one code of one scheme means.
type CauseRow struct {
	Scheme Scheme
	Code   string // as providers write it
	Name   string // the scheme's name of it; empty where the code is the name
	Cause  call.HangupCause
	// Unanswered is the disposition of a leg that ended so and was not answered.
	// It is the same for all rows of one Cause.
	Unanswered call.Disposition
	Party      call.HangupParty // who ended the leg, where the code tells
	Q850, SIP  int32            // the code in the other scheme, 0 where there is none
	Source     string
}

// Causes lists all rows, in the order of scheme and code.
func Causes() []CauseRow {
	all := slices.Concat(q850Causes, freeSwitchCauses, sipCauses)
	for i := range providers {
		all = append(all, providers[i].causes...)
	}
	return all
}

// The sources of the rows. The texts of RFC 3398 were compared with those of
// FreeSWITCH; where only one of them maps a code, that one is named.
const (
	rfc3398    = "RFC 3398 §7.2.4.1, §8.2.6.1"
	freeSwitch = "FreeSWITCH switch_types.h, mod_sofia.c"
	q850       = "ITU-T Q.850, as in FreeSWITCH switch_types.h"
	rfc3261    = "RFC 3261 §21"
	rfc8197    = "RFC 8197, RFC 8688"
)

// q850Causes are codes 1 to 127, with the SIP status of RFC 3398 where it has
// one: FreeSWITCH's 480 for all others would say more than is known.
var q850Causes = []CauseRow{
	q850Row(1, "UNALLOCATED_NUMBER", call.CauseInvalidNumber, 404, rfc3398),
	q850Row(2, "NO_ROUTE_TRANSIT_NET", call.CauseFailed, 404, rfc3398),
	q850Row(3, "NO_ROUTE_DESTINATION", call.CauseFailed, 404, rfc3398),
	q850Row(6, "CHANNEL_UNACCEPTABLE", call.CauseFailed, 0, q850),
	q850Row(7, "CALL_AWARDED_DELIVERED", call.CauseFailed, 0, q850),
	q850Row(16, "NORMAL_CLEARING", call.CauseNormal, 0, rfc3398),
	q850Row(17, "USER_BUSY", call.CauseBusy, 486, rfc3398),
	// FreeSWITCH gives 18 for SIP 480 too, so it does not say that anything rang.
	q850Row(18, "NO_USER_RESPONSE", call.CauseNoAnswer, 408, rfc3398),
	q850Row(19, "NO_ANSWER", call.CauseNoAnswer, 480, rfc3398),
	q850Row(20, "SUBSCRIBER_ABSENT", call.CauseUnreachable, 480, rfc3398),
	q850Row(21, "CALL_REJECTED", call.CauseRejected, 403, rfc3398),
	q850Row(22, "NUMBER_CHANGED", call.CauseInvalidNumber, 410, rfc3398),
	q850Row(23, "REDIRECTION_TO_NEW_DESTINATION", call.CauseFailed, 410, rfc3398),
	q850Row(25, "EXCHANGE_ROUTING_ERROR", call.CauseFailed, 0, q850),
	// Another phone of the same subscriber took the call.
	q850Row(26, "NON_SELECTED_USER_CLEARING", call.CauseCanceled, 404, rfc3398),
	q850Row(27, "DESTINATION_OUT_OF_ORDER", call.CauseFailed, 502, rfc3398),
	q850Row(28, "INVALID_NUMBER_FORMAT", call.CauseInvalidNumber, 484, rfc3398),
	q850Row(29, "FACILITY_REJECTED", call.CauseFailed, 501, rfc3398),
	q850Row(30, "RESPONSE_TO_STATUS_ENQUIRY", call.CauseFailed, 0, q850),
	q850Row(31, "NORMAL_UNSPECIFIED", call.CauseUnknown, 480, rfc3398),
	q850Row(34, "NORMAL_CIRCUIT_CONGESTION", call.CauseCongestion, 503, rfc3398),
	q850Row(38, "NETWORK_OUT_OF_ORDER", call.CauseFailed, 503, rfc3398),
	q850Row(41, "NORMAL_TEMPORARY_FAILURE", call.CauseFailed, 503, rfc3398),
	q850Row(42, "SWITCH_CONGESTION", call.CauseCongestion, 503, rfc3398),
	q850Row(43, "ACCESS_INFO_DISCARDED", call.CauseFailed, 0, q850),
	q850Row(44, "REQUESTED_CHAN_UNAVAIL", call.CauseCongestion, 503, freeSwitch),
	q850Row(45, "PRE_EMPTED", call.CauseFailed, 0, q850),
	q850Row(47, "RESOURCE_UNAVAILABLE", call.CauseCongestion, 503, rfc3398),
	q850Row(50, "FACILITY_NOT_SUBSCRIBED", call.CauseFailed, 0, q850),
	q850Row(52, "OUTGOING_CALL_BARRED", call.CauseRejected, 403, freeSwitch),
	q850Row(54, "INCOMING_CALL_BARRED", call.CauseRejected, 403, freeSwitch),
	q850Row(55, "INCOMING_CALLS_BARRED_WITHIN_CUG", call.CauseRejected, 403, rfc3398),
	q850Row(57, "BEARERCAPABILITY_NOTAUTH", call.CauseFailed, 403, rfc3398),
	q850Row(58, "BEARERCAPABILITY_NOTAVAIL", call.CauseFailed, 503, rfc3398),
	q850Row(63, "SERVICE_UNAVAILABLE", call.CauseFailed, 0, q850),
	q850Row(65, "BEARERCAPABILITY_NOTIMPL", call.CauseFailed, 488, rfc3398),
	q850Row(66, "CHAN_NOT_IMPLEMENTED", call.CauseFailed, 0, q850),
	q850Row(69, "FACILITY_NOT_IMPLEMENTED", call.CauseFailed, 501, freeSwitch),
	q850Row(79, "SERVICE_NOT_IMPLEMENTED", call.CauseFailed, 501, rfc3398),
	q850Row(81, "INVALID_CALL_REFERENCE", call.CauseFailed, 0, q850),
	q850Row(87, "USER_NOT_MEMBER_OF_CUG", call.CauseRejected, 403, rfc3398),
	q850Row(88, "INCOMPATIBLE_DESTINATION", call.CauseFailed, 503, rfc3398),
	q850Row(95, "INVALID_MSG_UNSPECIFIED", call.CauseFailed, 0, q850),
	q850Row(96, "MANDATORY_IE_MISSING", call.CauseFailed, 0, q850),
	q850Row(97, "MESSAGE_TYPE_NONEXIST", call.CauseFailed, 0, q850),
	q850Row(98, "WRONG_MESSAGE", call.CauseFailed, 0, q850),
	q850Row(99, "IE_NONEXIST", call.CauseFailed, 0, q850),
	q850Row(100, "INVALID_IE_CONTENTS", call.CauseFailed, 0, q850),
	q850Row(101, "WRONG_CALL_STATE", call.CauseFailed, 0, q850),
	q850Row(102, "RECOVERY_ON_TIMER_EXPIRE", call.CauseNoAnswer, 504, rfc3398),
	q850Row(103, "MANDATORY_IE_LENGTH_ERROR", call.CauseFailed, 0, q850),
	q850Row(111, "PROTOCOL_ERROR", call.CauseFailed, 500, rfc3398),
	q850Row(127, "INTERWORKING", call.CauseFailed, 500, rfc3398),
}

// freeSwitchCauses are the codes of FreeSWITCH that are no Q.850.
var freeSwitchCauses = slices.Concat(freeSwitchNumbers, beforeRenumbering(freeSwitchNumbers))

var freeSwitchNumbers = []CauseRow{
	freeSwitchRow(0, "NONE", call.CauseUnknown, 0, call.NoHangupParty),
	freeSwitchRow(142, "SUCCESS", call.CauseNormal, 0, call.NoHangupParty),
	freeSwitchRow(487, "ORIGINATOR_CANCEL", call.CauseCanceled, 487, call.HangupByCaller),
	freeSwitchRow(700, "CRASH", call.CauseFailed, 0, call.HangupByPlatform),
	freeSwitchRow(701, "SYSTEM_SHUTDOWN", call.CauseFailed, 0, call.HangupByPlatform),
	freeSwitchRow(702, "LOSE_RACE", call.CauseCanceled, 0, call.HangupByPlatform),
	freeSwitchRow(703, "MANAGER_REQUEST", call.CauseCanceled, 0, call.HangupByPlatform),
	freeSwitchRow(800, "BLIND_TRANSFER", call.CauseTransferred, 0, call.HangupByTransfer),
	freeSwitchRow(801, "ATTENDED_TRANSFER", call.CauseTransferred, 0, call.HangupByTransfer),
	freeSwitchRow(802, "ALLOTTED_TIMEOUT", call.CauseMaxDuration, 0, call.HangupByTimeout),
	freeSwitchRow(803, "USER_CHALLENGE", call.CauseUnknown, 0, call.NoHangupParty),
	freeSwitchRow(804, "MEDIA_TIMEOUT", call.CauseMediaTimeout, 0, call.HangupByTimeout),
	freeSwitchRow(805, "PICKED_OFF", call.CauseCanceled, 0, call.NoHangupParty),
	freeSwitchRow(806, "USER_NOT_REGISTERED", call.CauseUnreachable, 0, call.NoHangupParty),
	freeSwitchRow(807, "PROGRESS_TIMEOUT", call.CauseNoAnswer, 0, call.HangupByTimeout),
	freeSwitchRow(808, "INVALID_GATEWAY", call.CauseFailed, 484, call.NoHangupParty),
	freeSwitchRow(809, "GATEWAY_DOWN", call.CauseFailed, 503, call.NoHangupParty),
	freeSwitchRow(810, "INVALID_URL", call.CauseFailed, 484, call.NoHangupParty),
	freeSwitchRow(811, "INVALID_PROFILE", call.CauseFailed, 502, call.NoHangupParty),
	freeSwitchRow(812, "NO_PICKUP", call.CauseNoAnswer, 0, call.NoHangupParty),
	freeSwitchRow(813, "SRTP_READ_ERROR", call.CauseFailed, 0, call.NoHangupParty),
	freeSwitchRow(814, "BOWOUT", call.CauseTransferred, 0, call.HangupByTransfer),
	freeSwitchRow(815, "BUSY_EVERYWHERE", call.CauseBusy, 600, call.NoHangupParty),
	freeSwitchRow(816, "DECLINE", call.CauseRejected, 603, call.NoHangupParty),
	freeSwitchRow(817, "DOES_NOT_EXIST_ANYWHERE", call.CauseInvalidNumber, 604, call.NoHangupParty),
	freeSwitchRow(818, "NOT_ACCEPTABLE", call.CauseFailed, 606, call.NoHangupParty),
	freeSwitchRow(819, "UNWANTED", call.CauseRejected, 607, call.NoHangupParty),
	freeSwitchRow(820, "NO_IDENTITY", call.CauseFailed, 428, call.NoHangupParty),
	freeSwitchRow(821, "BAD_IDENTITY_INFO", call.CauseFailed, 429, call.NoHangupParty),
	freeSwitchRow(822, "UNSUPPORTED_CERTIFICATE", call.CauseFailed, 437, call.NoHangupParty),
	freeSwitchRow(823, "INVALID_IDENTITY", call.CauseFailed, 438, call.NoHangupParty),
	freeSwitchRow(824, "STALE_DATE", call.CauseFailed, 403, call.NoHangupParty),
	freeSwitchRow(825, "REJECT_ALL", call.CauseRejected, 603, call.NoHangupParty),
}

// sipCauses are final SIP statuses with the Q.850 cause of RFC 3398. A failure
// that is not listed is FAILED.
var sipCauses = []CauseRow{
	sipRow(200, "OK", call.CauseNormal, 0, rfc3261),
	sipRow(400, "Bad Request", call.CauseFailed, 41, rfc3398),
	sipRow(401, "Unauthorized", call.CauseFailed, 21, rfc3398),
	sipRow(402, "Payment Required", call.CauseFailed, 21, rfc3398),
	sipRow(403, "Forbidden", call.CauseRejected, 21, rfc3398),
	sipRow(404, "Not Found", call.CauseInvalidNumber, 1, rfc3398),
	sipRow(405, "Method Not Allowed", call.CauseFailed, 63, rfc3398),
	sipRow(406, "Not Acceptable", call.CauseFailed, 79, rfc3398),
	sipRow(407, "Proxy Authentication Required", call.CauseFailed, 21, rfc3398),
	sipRow(408, "Request Timeout", call.CauseNoAnswer, 102, rfc3398),
	sipRow(410, "Gone", call.CauseInvalidNumber, 22, rfc3398),
	sipRow(413, "Request Entity Too Large", call.CauseFailed, 127, rfc3398),
	sipRow(414, "Request-URI Too Long", call.CauseFailed, 127, rfc3398),
	sipRow(415, "Unsupported Media Type", call.CauseFailed, 79, rfc3398),
	sipRow(416, "Unsupported URI Scheme", call.CauseFailed, 127, rfc3398),
	sipRow(420, "Bad Extension", call.CauseFailed, 127, rfc3398),
	sipRow(421, "Extension Required", call.CauseFailed, 127, rfc3398),
	sipRow(423, "Interval Too Brief", call.CauseFailed, 127, rfc3398),
	sipRow(480, "Temporarily Unavailable", call.CauseNoAnswer, 18, rfc3398),
	sipRow(481, "Call/Transaction Does Not Exist", call.CauseFailed, 41, rfc3398),
	sipRow(482, "Loop Detected", call.CauseFailed, 25, rfc3398),
	sipRow(483, "Too Many Hops", call.CauseFailed, 25, rfc3398),
	sipRow(484, "Address Incomplete", call.CauseInvalidNumber, 28, rfc3398),
	sipRow(485, "Ambiguous", call.CauseInvalidNumber, 1, rfc3398),
	sipRow(486, "Busy Here", call.CauseBusy, 17, rfc3398),
	sipRow(487, "Request Terminated", call.CauseCanceled, 0, rfc3261),
	sipRow(488, "Not Acceptable Here", call.CauseFailed, 88, freeSwitch),
	sipRow(500, "Server Internal Error", call.CauseFailed, 41, rfc3398),
	sipRow(501, "Not Implemented", call.CauseFailed, 79, rfc3398),
	sipRow(502, "Bad Gateway", call.CauseFailed, 38, rfc3398),
	sipRow(503, "Service Unavailable", call.CauseFailed, 41, rfc3398),
	sipRow(504, "Server Time-out", call.CauseFailed, 102, rfc3398),
	sipRow(505, "Version Not Supported", call.CauseFailed, 127, rfc3398),
	sipRow(513, "Message Too Large", call.CauseFailed, 127, rfc3398),
	sipRow(600, "Busy Everywhere", call.CauseBusy, 17, rfc3398),
	sipRow(603, "Decline", call.CauseRejected, 21, rfc3398),
	sipRow(604, "Does Not Exist Anywhere", call.CauseInvalidNumber, 1, rfc3398),
	sipRow(606, "Not Acceptable", call.CauseFailed, 88, freeSwitch),
	sipRow(607, "Unwanted", call.CauseRejected, 0, rfc8197),
	sipRow(608, "Rejected", call.CauseRejected, 21, freeSwitch),
}

func q850Row(code int32, name string, c call.HangupCause, sip int32, source string) CauseRow {
	return CauseRow{
		Scheme: Q850Scheme, Code: strconv.Itoa(int(code)), Name: name, Cause: c, Unanswered: c.Unanswered(),
		Q850: code, SIP: sip, Source: source,
	}
}

func freeSwitchRow(code int32, name string, c call.HangupCause, sip int32, by call.HangupParty) CauseRow {
	return CauseRow{
		Scheme: FreeSwitchScheme, Code: strconv.Itoa(int(code)), Name: name, Cause: c, Unanswered: c.Unanswered(),
		Party: by, SIP: sip, Source: freeSwitch,
	}
}

// renumbered is how much FreeSWITCH added in June 2022 to the numbers of its own
// causes from 500 on, which had been those of SIP statuses. Systems of both ages are
// about, and no number of one is one of the other.
const (
	renumbered     = 200
	freeSwitchOnce = "FreeSWITCH switch_types.h before pull request 1681"
)

// beforeRenumbering are the rows that have another number since.
func beforeRenumbering(rows []CauseRow) (old []CauseRow) {
	for _, r := range rows {
		if n, _ := strconv.Atoi(r.Code); n >= 500+renumbered {
			r.Code, r.Source = strconv.Itoa(n-renumbered), freeSwitchOnce
			old = append(old, r)
		}
	}
	return old
}

func sipRow(code int32, name string, c call.HangupCause, q850 int32, source string) CauseRow {
	return CauseRow{
		Scheme: SIPScheme, Code: strconv.Itoa(int(code)), Name: name, Cause: c, Unanswered: c.Unanswered(),
		Q850: q850, SIP: code, Source: source,
	}
}

func keyword(s Scheme, code string, c call.HangupCause, by call.HangupParty, source string) CauseRow {
	return CauseRow{Scheme: s, Code: code, Cause: c, Unanswered: c.Unanswered(), Party: by, Source: source}
}

// The rows of the shared schemes by what events carry.
var (
	q850ByCode       = byCode(q850Causes)
	freeSwitchByCode = byCode(freeSwitchCauses)
	sipByCode        = byCode(sipCauses)
	causeByName      = byName(slices.Concat(q850Causes, freeSwitchCauses))
)

func byCode(rows []CauseRow) map[string]CauseRow {
	m := make(map[string]CauseRow, len(rows))
	for _, r := range rows {
		m[r.Code] = r
	}
	return m
}

func byName(rows []CauseRow) map[string]CauseRow {
	m := make(map[string]CauseRow, len(rows))
	for _, r := range rows {
		m[r.Name] = r
	}
	return m
}

// ends fills in what a cause row says. Codes that the provider reported stay.
func ends(e *call.Ending, r CauseRow) {
	e.HangupCause = r.Cause
	if e.HangupParty == call.NoHangupParty {
		e.HangupParty = r.Party
	}
	if !e.Q850.Known() {
		e.Q850 = mapped(r.Q850)
	}
	if !e.SIPStatus.Known() {
		e.SIPStatus = mapped(r.SIP)
	}
}

func mapped(n int32) call.Code {
	if n == 0 {
		return call.Code{}
	}
	return call.Code{N: n, Src: call.CodeMapped}
}

// endsWith fills in what a code of a scheme means; an unlisted one says no more
// than that there was a cause.
func endsWith(e *call.Ending, scheme map[string]CauseRow, code string) {
	if row, ok := scheme[code]; ok {
		ends(e, row)
	} else if e.HangupCause == call.NoCause {
		e.HangupCause = call.CauseUnknown
	}
}

// endsWithFreeSwitch fills in a hangup cause of FreeSWITCH, of which the number,
// the name or both were sent. The number decides, where it tells something: up to
// 127 they are Q.850, beyond that FreeSWITCH's own.
func endsWithFreeSwitch(e *call.Ending, number value, name string) {
	e.ProviderCause = name
	if n, ok := number.integer(); ok {
		endsWithNumber(e, n)
	}
	if row, ok := causeByName[name]; ok && (e.HangupCause == call.NoCause || e.HangupCause == call.CauseUnknown) {
		ends(e, row)
	}
}

func endsWithNumber(e *call.Ending, n int64) {
	code := strconv.FormatInt(n, 10)
	if n >= 1 && n <= 127 {
		e.Q850 = call.Code{N: int32(n), Src: call.CodeReported}
		endsWith(e, q850ByCode, code)
		return
	}
	e.ProviderCauseCode = code
	endsWith(e, freeSwitchByCode, code)
}

// endsWithStatus fills in a SIP status.
func endsWithStatus(e *call.Ending, status int32) {
	e.SIPStatus = call.Code{N: status, Src: call.CodeReported}
	endsWith(e, sipByCode, strconv.Itoa(int(status)))
	if e.HangupCause == call.CauseUnknown && status >= 400 {
		e.HangupCause = call.CauseFailed
	}
}
