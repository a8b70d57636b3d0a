package jobstate

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what happens into testdata/*.txt; read the difference")

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestScenarios runs testdata/*.txt. A scenario is a trace: a line of what was observed ("+10s answer RUNNING 4/4"), below it, indented,
// what follows: events, effects, the time of the next look. "run KEY=VALUE…" makes the run.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(content))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(content) {
				t.Errorf("the trace is another one (-update writes it):\n%s", difference(string(content), got))
			}
		})
	}
}

func difference(want, got string) string {
	var b strings.Builder
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		x, y := "(end)", "(end)"
		if i < len(w) {
			x = w[i]
		}
		if i < len(g) {
			y = g[i]
		}
		if x != y {
			fmt.Fprintf(&b, "line %d\n want %s\n got  %s\n", i+1, x, y)
			break
		}
	}
	return b.String()
}

func play(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	var r Run
	now := epoch
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "  "): // what followed before
			continue
		case line == "" || strings.HasPrefix(line, "#"):
			fmt.Fprintln(&out, line)
			continue
		}
		fmt.Fprintln(&out, line)
		words := strings.Fields(line)
		if words[0] == "run" {
			now = epoch
			r = New("r1", "aa", false, false, now, 5*time.Minute)
			for _, w := range words[1:] {
				switch w {
				case "ha":
					r.HighAvailability = true
				case "session":
					r.Session, r.SessionName = true, "s1"
				case "patient":
					r.LostAfter = 10 * time.Second
				case "cluster":
					r.Cluster, r.JobID = true, ""
				case "several":
					r.JobID = ""
				case "trial":
					r.Trial = &Trial{From: 1, Until: r.Deadline}
				case "running":
					r.Attempt, r.Queue, r.Condition, r.Jobs = "a1", Running, None, []Job{{ID: "aa", Status: StRunning}}
					if r.JobID == "" {
						r.Jobs = append(r.Jobs, Job{ID: "bb", Status: StRunning})
					}
				default:
					t.Fatalf("unknown word %s", w)
				}
			}
			continue
		}
		if strings.HasPrefix(words[0], "+") {
			d, err := time.ParseDuration(words[0][1:])
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(d)
			words = words[1:]
		}
		result := Step(r, parse(t, words), now)
		r = result.Run
		for _, e := range result.Events {
			state := string(e.Queue)
			if e.Condition != None {
				state += "/" + string(e.Condition)
			}
			if e.Outcome != Open {
				state += "=" + string(e.Outcome)
			}
			fmt.Fprintf(&out, "  %s by %s: %s", state, e.Source, e.Text)
			if e.By != "" {
				fmt.Fprintf(&out, " (%s)", e.By)
			}
			if e.Inferred {
				fmt.Fprint(&out, " (inferred)")
			}
			fmt.Fprintln(&out)
		}
		for _, e := range result.Effects {
			fmt.Fprintf(&out, "  do: %s\n", e)
		}
		fmt.Fprintf(&out, "  next: %s\n", result.Next)
	}
	return out.String()
}

// parse reads an observation: its kind, then its words.
func parse(t *testing.T, w []string) Observation {
	t.Helper()
	arg := func(i int) string {
		if i < len(w) {
			return w[i]
		}
		return ""
	}
	rest := func(i int) string { return strings.Join(w[min(i, len(w)):], " ") }
	switch w[0] {
	case "tick":
		return Tick{}
	case "started":
		return ClusterStarted{Attempt: w[1]}
	case "refused":
		return StartRefused{Reason: rest(1)}
	case "hindered":
		return StartHindered{Reason: rest(1)}
	case "nopoint":
		return NoStartPoint{Reason: rest(1)}
	case "startempty":
		return AskStartEmpty{By: w[1]}
	case "noanswer":
		return NoAnswer{Reason: rest(1)}
	case "notsubmitted":
		return NotSubmitted{}
	case "answer": // answer [of=ATTEMPT] [disputed] [taskmanagers=N] [ID:]STATUS R/T[/SCHEDULED] [slots=NEEDED/TASKMANAGERS/TOTAL/FREE [batch]] …
		var a Answer
		for i := 1; i < len(w); i++ {
			if attempt, ok := strings.CutPrefix(w[i], "of="); ok {
				a.Attempt = attempt
				continue
			}
			if w[i] == "disputed" {
				a.Disputed = true
				continue
			}
			if n, ok := strings.CutPrefix(w[i], "taskmanagers="); ok {
				a.TaskManagers, _ = strconv.Atoi(n)
				continue
			}
			id, status, ok := strings.Cut(w[i], ":")
			if !ok {
				id, status = "aa", w[i]
			}
			j := Seen{ID: id, Status: Status(status)}
			if n := strings.Split(arg(i+1), "/"); len(n) >= 2 {
				j.Tasks.Running, _ = strconv.Atoi(n[0])
				j.Tasks.Total, _ = strconv.Atoi(n[1])
				if len(n) == 3 {
					j.Tasks.Scheduled, _ = strconv.Atoi(n[2])
				}
				i++
			}
			if numbers, ok := strings.CutPrefix(arg(i+1), "slots="); ok {
				j.Slots = &Slots{Streaming: true}
				if _, err := fmt.Sscanf(numbers, "%d/%d/%d/%d", &j.Slots.Needed, &j.Slots.TaskManagers, &j.Slots.Total, &j.Slots.Free); err != nil {
					t.Fatal(err)
				}
				if i++; arg(i+1) == "batch" {
					j.Slots.Streaming = false
					i++
				}
			}
			a.Jobs = append(a.Jobs, j)
		}
		return a
	case "push": // push ATTEMPT SEQUENCE JOB STATUS CAUSE…
		n, err := strconv.ParseInt(w[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return Push{Attempt: w[1], Sequence: n, JobID: w[3], Status: Status(w[4]), Cause: rest(5)}
	case "archive": // archive JOB STATUS [savepoint=PATH] CAUSE…
		a := Archived{JobID: w[1], Status: Status(w[2])}
		if p, ok := strings.CutPrefix(arg(3), "savepoint="); ok {
			a.Savepoint = p
		} else {
			a.Cause = rest(3)
		}
		return a
	case "recorded":
		return Recorded{JobID: w[1], Status: Status(w[2])}
	case "exited": // exited ATTEMPT CODE [others] MESSAGE…
		code, err := strconv.Atoi(w[2])
		if err != nil {
			t.Fatal(err)
		}
		if arg(3) == "others" {
			return Exited{Attempt: w[1], Code: code, Others: true, Message: rest(4)}
		}
		return Exited{Attempt: w[1], Code: code, Message: rest(3)}
	case "ended": // ended PLACE NAME CODE LIVED MESSAGE…
		code, err := strconv.Atoi(w[3])
		if err != nil {
			t.Fatal(err)
		}
		lived, err := time.ParseDuration(w[4])
		if err != nil {
			t.Fatal(err)
		}
		return ProcessEnded{Place: w[1], Name: w[2], Code: code, Lived: lived, Message: rest(5)}
	case "chosen": // chosen [ha]
		return SessionChosen{HighAvailability: arg(1) == "ha"}
	case "mainfailed":
		return MainFailed{Cause: rest(1)}
	case "sessionended":
		return SessionEnded{Reason: rest(1)}
	case "returns": // returns PLACE NAME CODE MESSAGE…
		code, err := strconv.Atoi(w[3])
		if err != nil {
			t.Fatal(err)
		}
		return ProcessEnded{Place: w[1], Name: w[2], Code: code, Message: rest(4), Returns: true}
	case "waits":
		return Waits{Reason: rest(1)}
	case "replaced": // replaced PLACE NAME
		return ProcessReplaced{Place: w[1], Name: w[2]}
	case "gone":
		return ClusterGone{}
	case "stop":
		if version, ok := strings.CutPrefix(arg(2), "then="); ok {
			n, _ := strconv.Atoi(version)
			return AskStop{By: w[1], Then: &Upgrade{Version: n, Within: 5 * time.Minute, By: w[1]}}
		}
		return AskStop{By: w[1], Drain: arg(2) == "drain"}
	case "cancel":
		return AskCancel{By: w[1]}
	case "notfollowed":
		return NotFollowed{Reason: rest(1)}
	case "requestlost": // requestlost [starting]: not every task runs
		return RequestLost{Whole: arg(1) != "starting"}
	case "resolve":
		return AskResolve{By: w[1], As: Outcome(w[2]), Reason: rest(3)}
	case "savepoint":
		s := SavepointSeen{State: SavepointState(w[1])}
		if arg(3) == "found" {
			s.Source = FromDriver
		}
		if s.State == SavepointCompleted {
			s.Path = w[2]
		} else {
			s.Cause = rest(2)
		}
		return s
	}
	t.Fatalf("unknown observation %s", w[0])
	return nil
}

// slots are what an answer says of them, if it does.
func slots(r *rand.Rand) *Slots {
	if r.IntN(2) == 0 {
		return nil
	}
	return &Slots{Needed: r.IntN(4), Streaming: r.IntN(2) == 0, TaskManagers: r.IntN(2), Total: r.IntN(4), Free: r.IntN(2)}
}

// cannot is why a driver cannot start a cluster.
var cannot = []string{"no port", "no node has room", "its image cannot be pulled"}

// random makes any observation about a run, right or wrong.
func random(r *rand.Rand) Observation {
	statuses := []Status{Initializing, Created, StRunning, Failing, StFailed, Cancelling, StCanceled, StFinished, StRestarting, Suspended, Reconciling}
	ids := []string{"aa", "bb"}
	attempts := []string{"a1", "a2"}
	status := func() Status { return statuses[r.IntN(len(statuses))] }
	switch r.IntN(26) {
	case 0:
		return ClusterStarted{attempts[r.IntN(2)]}
	case 1:
		return StartHindered{cannot[0]}
	case 2:
		return NoStartPoint{"no checkpoint"}
	case 3, 4, 5:
		a := Answer{Attempt: []string{"", "a1", "a2"}[r.IntN(3)], Disputed: r.IntN(3) == 0, TaskManagers: r.IntN(2)}
		for range r.IntN(3) {
			a.Jobs = append(a.Jobs, Seen{ID: ids[r.IntN(2)], Status: status(), Tasks: Tasks{Total: 2, Running: r.IntN(3), Created: r.IntN(2), Scheduled: r.IntN(3)}, Slots: slots(r)})
		}
		return a
	case 6, 7:
		return NoAnswer{"timeout"}
	case 8:
		return Push{attempts[r.IntN(2)], int64(r.IntN(9)), ids[r.IntN(2)], status(), ""}
	case 9:
		return Archived{JobID: ids[r.IntN(2)], Status: status()}
	case 10:
		return Recorded{ids[r.IntN(2)], status()}
	case 11:
		return Exited{Attempt: attempts[r.IntN(2)], Code: []int{0, 1, 2, 22, 137, 163}[r.IntN(6)], Others: r.IntN(2) == 0}
	case 12:
		return ClusterGone{}
	case 13:
		if r.IntN(3) == 0 {
			return AskStop{By: "ann", Then: &Upgrade{Version: 2, Within: time.Minute}}
		}
		return AskStop{By: "ann"}
	case 14:
		return AskCancel{By: "ann"}
	case 15:
		return SavepointSeen{State: []SavepointState{SavepointCompleted, SavepointFailed, SavepointMissing}[r.IntN(3)], Path: "file:/s", Cause: []string{"", "Not all required tasks are currently running."}[r.IntN(2)]}
	case 16:
		return NotSubmitted{}
	case 17:
		return ProcessEnded{Place: "t1", Name: []string{"t1", "t1.2"}[r.IntN(2)], Code: 137, Lived: time.Duration(r.IntN(20)) * time.Minute}
	case 18:
		return ProcessReplaced{Place: "t1", Name: []string{"t1", "t1.2"}[r.IntN(2)]}
	case 19:
		return SessionChosen{HighAvailability: r.IntN(2) == 0}
	case 21:
		return Waits{Reason: []string{cannot[1] + ": 1", cannot[1] + ": 2", cannot[2] + ": x"}[r.IntN(3)]}
	case 22:
		return ProcessEnded{Place: "t2", Name: []string{"t2", "t2.2"}[r.IntN(2)], Code: 137, Returns: true}
	case 23:
		return RequestLost{Whole: r.IntN(2) == 0}
	case 24:
		return NotFollowed{"version 2 is not started"}
	case 20:
		if r.IntN(4) == 0 {
			return SessionEnded{Reason: "resolved"}
		}
	}
	return Tick{}
}

// TestRulesThatAlwaysHold: whatever is observed in whatever order, an ended run stays as it is, no answer alone ends a run, the same
// observation again tells nothing new, and a run that has not ended is looked at again.
func TestRulesThatAlwaysHold(t *testing.T) {
	seed := uint64(1)
	if s := os.Getenv("FLINK_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	ends := map[Outcome]int{}
	for range 20000 {
		now := epoch
		r := New("r1", []string{"aa", ""}[rnd.IntN(2)], rnd.IntN(2) == 0, rnd.IntN(4) == 0, now, time.Minute)
		if !r.Session && rnd.IntN(8) == 0 {
			r.Cluster, r.JobID = true, ""
		}
		if !r.Cluster && rnd.IntN(4) == 0 {
			r.Trial = &Trial{From: 1, Until: now.Add(time.Minute)}
		}
		if rnd.IntN(2) == 0 {
			r.Attempt, r.Queue, r.Condition, r.Jobs = "a1", Running, None, []Job{{ID: "aa", Status: StRunning}}
			if rnd.IntN(2) == 0 {
				r = Step(r, AskStop{By: "ann"}, now).Run
			}
		}
		for range 30 {
			now = now.Add(time.Duration(rnd.IntN(20000)) * time.Millisecond)
			o := random(rnd)
			before := r
			result := Step(r, o, now)
			after := result.Run
			if !reflect.DeepEqual(before, r) {
				t.Fatalf("Step changed its argument: %+v", o)
			}
			if before.HasEnded() {
				kept := after
				kept.Strange = before.Strange
				if !reflect.DeepEqual(kept, before) {
					t.Fatalf("an ended run changed by %T %+v:\n%+v\n%+v", o, o, before, after)
				}
			}
			if !before.HasEnded() && after.HasEnded() {
				ends[after.Outcome]++
				if after.Queue != queueOf[after.Outcome] || after.Condition != None || after.Ended.IsZero() || after.Source == "" {
					t.Fatalf("ended badly: %+v", after)
				}
				if _, isNoAnswer := o.(NoAnswer); isNoAnswer && before.Exit == nil && before.Claim == nil && !before.Gone && before.Condition != WaitingForSlots && before.Condition != Restarting && !slices.ContainsFunc(cannot, func(why string) bool { return strings.HasPrefix(before.Reason, why) }) {
					t.Fatalf("no answer ended the run: %+v", before)
				}
			}
			if !after.HasEnded() && after.Condition != Parked && result.Next <= 0 {
				t.Fatalf("never looked at again: %+v", after)
			}
			if after.Condition == Lost && after.HasEnded() {
				t.Fatal("lost is not an end")
			}
			switch o.(type) {
			case NoAnswer, Tick: // these count
			default:
				again := Step(after, o, now)
				if len(again.Events) > 0 && !counts(o) && !after.HasEnded() {
					t.Fatalf("%T %+v reported twice: %+v\nrun %+v", o, o, again.Events, after)
				}
			}
			r = after
		}
	}
	for _, o := range []Outcome{IsFinished, IsFailed, IsCanceled, IsStopped} {
		if ends[o] < 20 {
			t.Errorf("%d runs ended as %q: the observations do not reach it", ends[o], o)
		}
	}
}

// counts reports whether an observation counts as a look without an answer, or disagrees with itself, so that its repetition is news.
func counts(o Observation) bool {
	a, ok := o.(Answer)
	return ok && (len(a.Jobs) != 1 || a.Jobs[0].ID != "aa")
}
