package monitoring

// row is a part of the dashboard: a heading, and the panels below it, three abreast.
type row struct {
	title  string
	panels []panel
}

// panel is one graph.
type panel struct {
	title   string
	about   string // what somebody who looks at it at night wants to know
	unit    string // one of Grafana's
	queries []query
}

// query is a line, or many, of a panel. $job is the jobs that are looked at.
type query struct{ expr, legend string }

// rows are the dashboard, from what customers notice to what explains it.
var rows = []row{
	{"Calls", []panel{
		{"Sessions closed", "FINAL records a second. TIMEOUT is a lost hang-up.", "ops", []query{
			{`sum by (how) (rate(callstitch_sessions_closed_total{job=~"$job"}[$__rate_interval]))`, "{{how}}"},
		}},
		{"Lag", "The age of the newest record read, where there are more.", "s", []query{
			{`max by (topic) (callstitch_consumer_lag_seconds{job=~"$job"})`, "{{topic}}"},
		}},
		{"Age of the clocks", "About a second is normal. Sessions close by the session clock.", "s", []query{
			{`time() - min(callstitch_leg_clock_seconds{job=~"$job"})`, "leg clock"},
			{`time() - min(callstitch_session_clock_seconds{job=~"$job"})`, "session clock"},
		}},
		{"Rejects", "Records that could not be taken, by reason.", "ops", []query{
			{`sum by (reason) (rate(callstitch_rejects_total{job=~"$job"}[$__rate_interval]))`, "{{reason}}"},
		}},
		{"Instances", "How many there are in each phase; RUNNING is what they should be in.", "short", []query{
			{`sum by (state) (callstitch_state{job=~"$job"}) > 0`, "{{state}}"},
		}},
		{"Standstills", "How long an instance has not committed.", "s", []query{
			{`max by (instance) (callstitch_stalled_seconds{job=~"$job"})`, "{{instance}}"},
		}},
	}},
	{"Latency", []panel{
		{"From record to commit", "From a raw record's Kafka timestamp to the commit of its event.", "s", []query{
			{`histogram_quantile(0.5, sum by (le) (rate(callstitch_e2e_latency_seconds_bucket{job=~"$job"}[$__rate_interval])))`, "half"},
			{`histogram_quantile(0.99, sum by (le) (rate(callstitch_e2e_latency_seconds_bucket{job=~"$job"}[$__rate_interval])))`, "99 %"},
		}},
		{"Commits", "What a transaction's end takes, 99 %, and how long transactions last that have work.", "s", []query{
			{`histogram_quantile(0.99, sum by (le) (rate(callstitch_commit_latency_seconds_bucket{job=~"$job"}[$__rate_interval])))`, "end of a transaction"},
			{`max(callstitch_commit_interval_seconds{job=~"$job"})`, "interval"},
		}},
		{"Transactions", "Every rebalance aborts some.", "ops", []query{
			{`sum by (outcome) (rate(callstitch_commits_total{job=~"$job"}[$__rate_interval]))`, "{{outcome}}"},
		}},
	}},
	{"Records", []panel{
		{"Read", "By decode tasks from sources, and by stitch tasks from the exchange.", "ops", []query{
			{`sum by (node) (rate(callstitch_process_records_total{job=~"$job"}[$__rate_interval]))`, "{{node}}"},
		}},
		{"Written", "By output topic.", "ops", []query{
			{`sum by (sink) (rate(callstitch_output_records_total{job=~"$job"}[$__rate_interval]))`, "{{sink}}"},
		}},
		{"Left aside", "Repetitions, and records that hold no call event.", "ops", []query{
			{`sum(rate(callstitch_duplicates_total{job=~"$job"}[$__rate_interval]))`, "repetitions"},
			{`sum by (reason) (rate(callstitch_dropped_records_total{job=~"$job"}[$__rate_interval]))`, "{{reason}}"},
		}},
		{"Not committed yet", "Records behind, by topic.", "short", []query{
			{`sum by (topic) (callstitch_consumer_lag_records{job=~"$job"})`, "{{topic}}"},
		}},
		{"Ways", "Events to their stitch task: in memory, or through the exchange to another instance.", "ops", []query{
			{`sum by (way) (rate(callstitch_events_total{job=~"$job"}[$__rate_interval]))`, "{{way}}"},
		}},
		{"Clocks ahead", "Source partitions whose producers date records ahead.", "s", []query{
			{`max by (topic, partition) (callstitch_source_clock_lead_seconds{job=~"$job"})`, "{{topic}}-{{partition}}"},
		}},
	}},
	{"State", []panel{
		{"State in memory", "Bytes of keys and values, by instance.", "bytes", []query{
			{`sum by (instance) (callstitch_store_bytes{job=~"$job"})`, "{{instance}}"},
		}},
		{"Legs kept", "Those past their end included.", "short", []query{
			{`sum by (instance) (callstitch_open_nodes{job=~"$job"})`, "{{instance}}"},
		}},
		{"Restores", "Changelog offsets still to be read.", "short", []query{
			{`sum by (instance) (callstitch_store_restore_remaining_records{job=~"$job"})`, "{{instance}}"},
		}},
		{"Memory", "Resident, and what Go may take.", "bytes", []query{
			{`process_resident_memory_bytes{job=~"$job"}`, "{{instance}}"},
			{`go_gc_gomemlimit_bytes{job=~"$job"} < 2^60`, "{{instance}} limit"},
		}},
		{"CPU", "Cores in use.", "short", []query{
			{`rate(process_cpu_seconds_total{job=~"$job"}[$__rate_interval])`, "{{instance}}"},
		}},
		{"Tasks", "By instance.", "short", []query{
			{`sum by (instance, node) (callstitch_tasks{job=~"$job", state="running"})`, "{{instance}} {{node}}"},
		}},
	}},
	{"Front door", []panel{
		{"Requests", "By status. With basic authentication half of them are 401.", "ops", []query{
			{`sum by (code) (rate(callstitch_receive_requests_total{job=~"$job"}[$__rate_interval]))`, "{{code}}"},
		}},
		{"Time to an answer", "Providers wait for 15 s.", "s", []query{
			{`histogram_quantile(0.5, sum by (le) (rate(callstitch_receive_request_seconds_bucket{job=~"$job"}[$__rate_interval])))`, "half"},
			{`histogram_quantile(0.99, sum by (le) (rate(callstitch_receive_request_seconds_bucket{job=~"$job"}[$__rate_interval])))`, "99 %"},
		}},
		{"Since the last event", "Of each endpoint and feed.", "s", []query{
			{`time() - max by (endpoint) (callstitch_receive_last_event_time_seconds{job=~"$job"})`, "{{endpoint}}"},
		}},
		{"Spool", "What waits on disk because Kafka did not take it.", "short", []query{
			{`sum by (instance) (callstitch_receive_spool_records{job=~"$job"})`, "{{instance}}"},
		}},
		{"Calls ended by a wrong URL", "Events that must be answered with instructions, by endpoint: should be none.", "ops", []query{
			{`sum by (endpoint) (rate(callstitch_receive_call_control_total{job=~"$job"}[$__rate_interval]))`, "{{endpoint}}"},
		}},
		{"Under way, and connections", "Bytes that Kafka has not acknowledged, and clients.", "short", []query{
			{`sum(callstitch_receive_in_flight_bytes{job=~"$job"})`, "bytes"},
			{`sum(callstitch_receive_connections{job=~"$job"})`, "connections"},
		}},
		{"Feeds", "1 where somebody hears it.", "short", []query{
			{`max by (feed) (callstitch_receive_feed_up{job=~"$job"})`, "{{feed}}"},
		}},
		{"Frames of feeds", "By what became of them.", "ops", []query{
			{`sum by (feed, what) (rate(callstitch_receive_feed_frames_total{job=~"$job"}[$__rate_interval]))`, "{{feed}} {{what}}"},
		}},
	}},
}
