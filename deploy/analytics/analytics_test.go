package analytics

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the answers in docs/analytics.md anew")

const (
	page          = "../../docs/analytics.md"
	beginOfAnswer = "<!-- begin answers: go test ./deploy/analytics -update -->\n"
	endOfAnswer   = "<!-- end answers -->\n"
)

// topics are those that load.py loads.
var topics = []string{"call.sessions", "call.legs", "call.events", "call.settled", "call.audit"}

// TestAnalytics does what docs/analytics.md tells an analyst to do, on Apache
// Kafka and with a registry, and holds what comes out against three others: the
// page, callstitch's own reader, and what really happened.
func TestAnalytics(t *testing.T) {
	a := &analyst{program: newProgram(t), python: python(t)}
	for i, arguments := range deliveries(t) {
		a.truths = append(a.truths, filepath.Join(a.dir, fmt.Sprintf("truth%d.ndjson", i)))
		output(t, a.command(t.Context(), t, slices.Concat([]string{"simulate", "--truth", a.truths[i]}, arguments)...))
		a.process(t)
		t.Log(a.append(t, "--merge"))
	}
	t.Log(output(t, a.script(t, "load.py", "--brokers", a.brokers, "--registry", a.registry, a.database())))
	calls := calls(t, string(read(t, a.truths[1])), a.sessions(t))
	answers := a.ask(t, questions(t)...)

	t.Run("every reader reads the same", a.everyReaderReadsTheSame)
	a.erase(t, strings.Repeat("0", 32)) // what is asked from here on is asked beside a tombstone
	t.Run("only calls that lost records are amended", a.onlyCallsThatLostRecordsAreAmended)
	t.Run("answers are true", func(t *testing.T) { a.answersAreTrue(t, answers, calls) })
	t.Run("ClickHouse gives the same answers", func(t *testing.T) { a.clickHouseAnswersTheSame(t, answers) })
	t.Run("ClickHouse's Kafka engine gives the same answers", func(t *testing.T) { a.kafkaEngineAnswersTheSame(t, answers) })
	t.Run("Iceberg gives the same answers", func(t *testing.T) { a.icebergAnswersTheSame(t, answers) })
	t.Run("the page has these answers", func(t *testing.T) { thePageHas(t, answers) })
}

// simulateLine is a command line of the page that makes traffic.
var simulateLine = regexp.MustCompile(`(?m)^\$ bin/callstitch simulate (.*) -c deploy/analytics/callstitch.yaml`)

// deliveries are the arguments with which the page simulates traffic: with
// losses, and then complete.
func deliveries(t *testing.T) (arguments [][]string) {
	t.Helper()
	for _, m := range simulateLine.FindAllStringSubmatch(string(read(t, page)), -1) {
		arguments = append(arguments, strings.Fields(m[1]))
	}
	if len(arguments) != 2 || slices.Contains(arguments[1], "--loss") || !slices.Contains(arguments[0], "--loss") {
		t.Fatalf("%s simulates %v, want a delivery with losses and one without", page, arguments)
	}
	return arguments
}

// analyst is somebody with Python, and a broker to which callstitch wrote.
type analyst struct {
	*program
	python string
	truths []string // files of the simulator's truth, one a delivery
}

func (a *analyst) database() string { return filepath.Join(a.dir, "calls.duckdb") }

func (a *analyst) script(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), a.python, append([]string{name}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", // beside the sources
		"PYICEBERG_CATALOG__LOCAL__URI=sqlite:///"+filepath.Join(a.dir, "catalog.db"), "PYICEBERG_CATALOG__LOCAL__WAREHOUSE="+filepath.Join(a.dir, "warehouse"))
	return cmd
}

// append adds to Iceberg's tables what the topics have more by now.
func (a *analyst) append(t *testing.T, options ...string) string {
	t.Helper()
	return output(t, a.script(t, "load.py", append(options, "--brokers", a.brokers, "--registry", a.registry, "--iceberg", "local")...))
}

// ask gives the answer to each question, as a Markdown table.
func (a *analyst) ask(t *testing.T, args ...string) []string {
	t.Helper()
	out := output(t, a.script(t, "ask.py", append([]string{a.database()}, args...)...))
	return strings.Split(strings.TrimSuffix(out, "\n\n"), "\n\n")
}

// questions are the files with SQL, in order.
func questions(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("questions/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no questions: %v", err)
	}
	return files
}

// everyReaderReadsTheSame compares each record that callstitch's own reader
// decodes with what other people's libraries make of it: confluent-kafka, fastavro,
// DuckDB and pyarrow on the way to Parquet, kcat and fastavro without them.
func (a *analyst) everyReaderReadsTheSame(t *testing.T) {
	kcat := kcat(t)
	for _, topic := range topics {
		want := sorted(a.tail(t, topic))
		if len(want) == 0 {
			t.Errorf("%s is empty", topic)
		}
		table := strings.TrimPrefix(topic, "call.") + "_log.parquet"
		parquet := output(t, a.script(t, "testdata/plain.py", filepath.Join(a.dir, table)))
		if diff := cmp.Diff(want, sorted(parquet)); diff != "" {
			t.Errorf("%s (-callstitch +%s):\n%.2000s", topic, table, diff)
		}
		values := exec.CommandContext(t.Context(), kcat, "-C", "-e", "-q", "-b", a.brokers, "-t", topic, "-f", "%S %s")
		decode := a.script(t, "testdata/plain.py", topic, a.registry)
		decode.Stdin = strings.NewReader(output(t, values))
		if diff := cmp.Diff(want, sorted(output(t, decode))); diff != "" {
			t.Errorf("%s (-callstitch +kcat):\n%.2000s", topic, diff)
		}
	}
}

// erase writes a tombstone, as docs/privacy.md has it done.
func (a *analyst) erase(t *testing.T, session string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), kcat(t), "-P", "-b", a.brokers, "-t", "call.sessions", "-K:", "-Z", "-X", "partitioner=murmur2_random")
	cmd.Stdin = strings.NewReader(session + ":\n")
	output(t, cmd)
}

func sorted(records string) []string {
	all := lines(records)
	slices.Sort(all)
	return all
}

// onlyCallsThatLostRecordsAreAmended: what came a second time and was known
// changes no record.
func (a *analyst) onlyCallsThatLostRecordsAreAmended(t *testing.T) {
	whole := map[string]bool{}
	for _, truth := range objects(t, string(read(t, a.truths[0]))) {
		whole[fmt.Sprint(truth["session_id"])] = truth["lossy"] == nil
	}
	n := 0
	for id, session := range a.sessions(t) {
		if session["amended"] != true {
			continue
		}
		if n++; whole[id] {
			t.Errorf("session %s is amended, and had lost nothing", id)
		}
	}
	if n == 0 {
		t.Error("no session is amended, so the page shows nothing")
	}
}

// answersAreTrue computes answers a second way, without SQL.
func (a *analyst) answersAreTrue(t *testing.T, answers []string, calls []call) {
	for i, question := range questions(t) {
		name := strings.TrimSuffix(filepath.Base(question), ".sql")
		got := rows(answers[i])
		var want [][]string
		switch name {
		case "01_answer_rate":
			want = answerRate(calls)
		case "02_ring_time":
			want = ringTime(calls)
		case "03_abandoned":
			want = abandoned(calls)
		case "04_transfers":
			want = transfers(calls)
		case "05_repeat_callers":
			want = repeatCallers(calls)
		case "07_busiest_hour":
			want = busiestHour(calls)
		default:
			continue // what it counts are fields that are held against the truth, or are not in it
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-true +answer):\n%s", name, diff)
		}
	}
}

// rows are the cells of a Markdown table, without its head.
func rows(table string) (rows [][]string) {
	for _, line := range lines(table)[2:] {
		var row []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			row = append(row, strings.TrimSpace(cell))
		}
		rows = append(rows, row)
	}
	return rows
}

func (a *analyst) clickHouseAnswersTheSame(t *testing.T, answers []string) {
	args := []string{"--clickhouse"}
	for _, question := range questions(t) {
		if own := inClickHouse(question); exists(own) {
			question = own
		}
		args = append(args, question)
	}
	if diff := cmp.Diff(answers, a.ask(t, args...)); diff != "" {
		t.Errorf("(-DuckDB +ClickHouse):\n%s", diff)
	}
}

// kafkaEngineAnswersTheSame has ClickHouse read call.sessions by itself, and asks what can be
// asked of sessions alone. Each field of each call is what callstitch's own reader has.
func (a *analyst) kafkaEngineAnswersTheSame(t *testing.T, answers []string) {
	dump := filepath.Join(a.dir, "engine.parquet")
	args, want := []string{"testdata/kafka_engine.py", a.brokers, a.registry, dump}, []string{}
	for i, question := range questions(t) {
		if otherTables.Match(read(t, question)) {
			continue
		}
		if own := inClickHouse(question); exists(own) {
			question = own
		}
		args, want = append(args, question), append(want, answers[i])
	}
	got := strings.Split(strings.TrimSuffix(output(t, a.script(t, args[0], args[1:]...)), "\n\n"), "\n\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-DuckDB +ClickHouse):\n%s", diff)
	}
	if diff := cmp.Diff(a.lastSessions(t), sorted(output(t, a.script(t, "testdata/plain.py", dump)))); diff != "" {
		t.Errorf("(-callstitch +ClickHouse):\n%.2000s", diff)
	}
}

// otherTables are those that clickhouse.sql has not.
var otherTables = regexp.MustCompile(`\b(sessions_log|legs|events|audit)\b`)

// lastSessions are the calls as they are known now, as callstitch's reader prints them.
func (a *analyst) lastSessions(t *testing.T) (last []string) {
	t.Helper()
	now := a.sessions(t)
	for _, line := range lines(a.tail(t, "call.sessions")) {
		record := objects(t, line)[0]
		if session := now[fmt.Sprint(record["session_id"])]; session != nil && session["record_version"] == record["record_version"] {
			last = append(last, line)
		}
	}
	slices.Sort(last)
	return last
}

// icebergAnswersTheSame asks the tables that each delivery was appended to, and holds the
// merged one against the view. What is there is not appended again, nor by a run that
// another one was faster than.
func (a *analyst) icebergAnswersTheSame(t *testing.T, answers []string) {
	if again := a.append(t, "--merge"); regexp.MustCompile(`[1-9]\d* (more|rows)`).MatchString(again) {
		t.Errorf("what is there was appended again:\n%s", again)
	}
	args := append([]string{"--iceberg", "local"}, questions(t)...)
	out := output(t, a.script(t, "ask.py", append(args, "testdata/merged.sql", a.viewOfThePage(t))...))
	got := strings.Split(strings.TrimSuffix(out, "\n\n"), "\n\n")
	n := len(answers)
	merged, different := rows(got[n])[0], rows(got[n+1])
	if diff := cmp.Diff(answers, got[:n]); diff != "" {
		t.Errorf("(-DuckDB +Iceberg):\n%s", diff)
	}
	if len(different) > 0 {
		t.Errorf("the view that %s shows has %d other calls", page, len(different))
	}
	if calls := fmt.Sprint(len(a.sessions(t))); !slices.Equal(merged, []string{calls, calls, "0", "0"}) {
		t.Errorf("calls, merged ones, and those that differ: %v, want %s of them", merged, calls)
	}
	output(t, a.script(t, "testdata/iceberg_tables.py", "local"))
}

// viewOfThePage is a question: of which calls is the view that the page shows for
// other engines not what the view of load.py is?
func (a *analyst) viewOfThePage(t *testing.T) (file string) {
	t.Helper()
	const create = "  CREATE VIEW sessions AS "
	_, view, found := strings.Cut(string(read(t, page)), create)
	view, _, ended := strings.Cut(view, ";")
	if !found || !ended {
		t.Fatalf("%s shows no view", page)
	}
	file = filepath.Join(a.dir, "view.sql")
	sql := fmt.Sprintf("(FROM sessions EXCEPT ALL SELECT * EXCLUDE (nth) FROM (%[1]s)) UNION ALL (SELECT * EXCLUDE (nth) FROM (%[1]s) EXCEPT ALL FROM sessions);", view)
	if err := os.WriteFile(file, []byte(sql), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// inClickHouse is where a question is in ClickHouse's words, if they differ.
func inClickHouse(question string) string {
	return filepath.Join("questions", "clickhouse", filepath.Base(question))
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// thePageHas the questions, their SQL, and the answers that it got just now.
func thePageHas(t *testing.T, answers []string) {
	text := string(read(t, page))
	before, rest, begun := strings.Cut(text, beginOfAnswer)
	was, after, ended := strings.Cut(rest, endOfAnswer)
	if !begun || !ended {
		t.Fatalf("%s has no place for the answers", page)
	}
	var now strings.Builder
	for i, question := range questions(t) {
		now.WriteString(section(t, i+1, question, answers[i]))
	}
	if *update {
		if err := os.WriteFile(page, []byte(before+beginOfAnswer+now.String()+endOfAnswer+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(was, now.String()); diff != "" {
		t.Errorf("%s (-says +is), see: go test ./deploy/analytics -update\n%s", page, diff)
	}
}

// section is a question on the page. The comment at the head of its SQL is the
// question and how it is meant.
func section(t *testing.T, number int, file, answer string) string {
	t.Helper()
	var b strings.Builder
	comment, sql := split(string(read(t, file)))
	fmt.Fprintf(&b, "\n### %d. %s\n\n", number, comment[0])
	if len(comment) > 1 {
		fmt.Fprintf(&b, "%s\n\n", strings.Join(comment[1:], " "))
	}
	fmt.Fprintf(&b, "```sql\n%s```\n\n%s\n", sql, answer)
	if own := inClickHouse(file); exists(own) {
		fmt.Fprintf(&b, "\n<details><summary>In ClickHouse's words</summary>\n\n```sql\n%s```\n\n</details>\n", read(t, own))
	}
	return b.String()
}

func split(text string) (comment []string, sql string) {
	for strings.HasPrefix(text, "-- ") {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		comment = append(comment, strings.TrimPrefix(line, "-- "))
	}
	return comment, text
}
