package mask

import (
	"reflect"
	"strings"
	"testing"

	"flink-entrypoint/internal/platform/jobstate"
)

// TestObservation: each text of an observation is masked that says why something happened. What identifies something stays: names, ids, paths.
func TestObservation(t *testing.T) {
	const secret, other = "password=hunter2", "password=******"
	identities := []string{"Attempt", "JobID", "Status", "By", "As", "State", "Path", "Source", "Savepoint", "ID", "Place", "Name", "Request"}
	for _, o := range []jobstate.Observation{jobstate.ClusterStarted{}, jobstate.StartRefused{}, jobstate.StartHindered{}, jobstate.NoStartPoint{}, jobstate.Answer{}, jobstate.NoAnswer{}, jobstate.Push{},
		jobstate.Archived{}, jobstate.Recorded{}, jobstate.Exited{}, jobstate.ClusterGone{}, jobstate.AskStop{}, jobstate.AskCancel{}, jobstate.AskResolve{}, jobstate.AskStartEmpty{},
		jobstate.SavepointSeen{}, jobstate.NotSubmitted{}, jobstate.Tick{}, jobstate.ProcessEnded{}, jobstate.ProcessReplaced{}, jobstate.SessionChosen{}, jobstate.SessionEnded{}, jobstate.MainFailed{}} {
		v := reflect.New(reflect.TypeOf(o)).Elem()
		fill(v, secret)
		if a, ok := v.Interface().(jobstate.Answer); ok {
			a.Jobs = []jobstate.Seen{{Cause: "x"}, {Cause: secret}}
			v.Set(reflect.ValueOf(a))
		}
		before := v.Interface()
		got := reflect.ValueOf(Observation(before.(jobstate.Observation)))
		for i := range got.NumField() {
			name := got.Type().Field(i).Name
			if got.Field(i).Kind() != reflect.String {
				continue
			}
			want := other
			for _, id := range identities {
				if name == id {
					want = secret
				}
			}
			if text := got.Field(i).String(); text != want {
				t.Errorf("%T.%s is %q, want %q", o, name, text, want)
			}
		}
		if a, ok := got.Interface().(jobstate.Answer); ok {
			if a.Jobs[0].Cause != "x" || a.Jobs[1].Cause != other || !strings.Contains(before.(jobstate.Answer).Jobs[1].Cause, "hunter2") {
				t.Errorf("%+v of %+v", a, before)
			}
		}
	}
}

func fill(v reflect.Value, text string) {
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.String {
			f.SetString(text)
		}
	}
}
