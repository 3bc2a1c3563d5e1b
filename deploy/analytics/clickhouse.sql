-- call.sessions in ClickHouse, by its own Kafka engine. Addresses are those of `make kafka`.
-- Logins, consumers, errors, and what to do when a column is added: docs/analytics.md.

-- What is read. A select from this table takes records away from the view below.
CREATE TABLE sessions_queue (
  session_id String, tenant_id String, provider String, provider_account_id Nullable(String), record_state String, revision Int32, generation Int32,
  record_version Int64, change_reason String, amended Bool, close_reason Nullable(String), superseded_by Nullable(String),
  merged_session_ids Array(String), direction String, from_raw Nullable(String), from_e164 Nullable(String), from_kind Nullable(String),
  to_raw Nullable(String), to_e164 Nullable(String), to_kind Nullable(String), disposition String, answered_by String,
  started_at Nullable(DateTime64(3, 'UTC')), started_at_src Nullable(String), ringing_at Nullable(DateTime64(3, 'UTC')),
  ringing_at_src Nullable(String), platform_answered_at Nullable(DateTime64(3, 'UTC')), platform_answered_at_src Nullable(String),
  answered_at Nullable(DateTime64(3, 'UTC')), answered_at_src Nullable(String), ended_at Nullable(DateTime64(3, 'UTC')),
  ended_at_src Nullable(String), ring_ms Nullable(Int64), talk_ms Nullable(Int64), hold_ms Nullable(Int64), queue_ms Nullable(Int64),
  total_ms Nullable(Int64), leg_talk_ms_sum Nullable(Int64), provider_duration_s Nullable(Int64), duration_mismatch_ms Nullable(Int64),
  hangup_party Nullable(String), hangup_cause Nullable(String), q850_cause Nullable(Int32), q850_src Nullable(String), sip_status Nullable(Int32),
  sip_src Nullable(String), provider_cause Nullable(String), leg_count Int32, answered_leg_count Int32, transfer_count Int32,
  participant_count Int32, conference_id Nullable(String), start_lost Bool, interim_lost Bool, end_lost Bool, complete Bool,
  quality_flags Array(String), correlation_methods Array(String), event_count Int32, duplicate_count Int32, late_event_count Int32,
  out_of_order_count Int32, first_src_topic Nullable(String), first_src_partition Nullable(Int32), first_src_offset Nullable(Int64),
  last_src_topic Nullable(String), last_src_partition Nullable(Int32), last_src_offset Nullable(Int64),
  first_event_at Nullable(DateTime64(3, 'UTC')), last_event_at Nullable(DateTime64(3, 'UTC')), emitted_at DateTime64(3, 'UTC'),
  legs Array(Tuple(leg_id String, role String, parent_leg_id Nullable(String), provider_call_id String, from_e164 Nullable(String), to_e164 Nullable(String), started_at Nullable(DateTime64(3, 'UTC')), answered_at Nullable(DateTime64(3, 'UTC')), ended_at Nullable(DateTime64(3, 'UTC')), disposition String, hangup_cause Nullable(String))),
  legs_truncated Bool,
  transfers Array(Tuple(at Nullable(DateTime64(3, 'UTC')), type String, from_leg_id Nullable(String), to_leg_id Nullable(String), transferor Nullable(String), result String, inferred Bool)),
  recordings Array(Tuple(recording_id String, leg_id Nullable(String), status Nullable(String), started_at Nullable(DateTime64(3, 'UTC')), duration_ms Nullable(Int64), channels Nullable(Int32), format Nullable(String), url Nullable(String), available_at Nullable(DateTime64(3, 'UTC')), transcribed Bool)),
  timeline Array(Tuple(at Nullable(DateTime64(3, 'UTC')), event_type String, leg_id String, src Nullable(String))), timeline_truncated Bool,
  attributes Map(String, String)
) ENGINE = Kafka SETTINGS
  kafka_broker_list = '127.0.0.1:9092',
  kafka_topic_list = 'call.sessions',
  kafka_group_name = 'clickhouse-sessions',             -- the same on every replica: each record comes to one of them
  kafka_num_consumers = 1,                              -- up to the topic's partitions over all replicas, and up to the cores
  kafka_thread_per_consumer = 1,
  kafka_format = 'AvroConfluent',
  format_avro_schema_registry_url = 'http://127.0.0.1:8081/apis/ccompat/v7',
  input_format_avro_allow_missing_fields = 1,           -- records of an earlier version lack what a later one added
  kafka_handle_error_mode = 'default',                  -- stands still at what cannot be read; 'stream' passes over it
  kafka_skip_broken_messages = 0,
  kafka_commit_every_batch = 0,                         -- offsets are committed after the insert: at least once
  kafka_max_block_size = 65536, kafka_flush_interval_ms = 5000;

-- What is kept: in time the last record of each call. What came twice is the same record twice.
-- There is no PARTITION BY, since records of a call must meet: none of its instants is the same in all of them.
CREATE TABLE sessions_last AS sessions_queue ENGINE = ReplacingMergeTree(record_version) ORDER BY (tenant_id, session_id);
ALTER TABLE sessions_last
  ADD COLUMN kafka_partition Int32, ADD COLUMN kafka_offset Int64, ADD COLUMN kafka_timestamp DateTime64(3, 'UTC');

CREATE MATERIALIZED VIEW sessions_feed TO sessions_last AS
SELECT *, _partition AS kafka_partition, _offset AS kafka_offset, _timestamp_ms AS kafka_timestamp FROM sessions_queue;

-- What is asked: a row for each call. FINAL chooses the last record where merges have not done so yet; the
-- condition comes after it, for before it would bring back what a SUPERSEDED record has ended.
CREATE VIEW sessions AS SELECT * FROM (SELECT * FROM sessions_last FINAL) WHERE record_state <> 'SUPERSEDED';
