package mask

import "flink-entrypoint/internal/platform/jobstate"

// Observation is an observation whose texts may be stored and shown. It is masked before the rule for the state sees it: the rule compares texts to
// know whether something has changed.
func Observation(o jobstate.Observation) jobstate.Observation {
	switch o := o.(type) {
	case jobstate.StartRefused:
		o.Reason = Text(o.Reason)
		return o
	case jobstate.StartHindered:
		o.Reason = Text(o.Reason)
		return o
	case jobstate.NoStartPoint:
		o.Reason = Text(o.Reason)
		return o
	case jobstate.Answer:
		o.ApplicationFailed = Text(o.ApplicationFailed)
		for i, j := range o.Jobs {
			if cause := Text(j.Cause); cause != j.Cause {
				jobs := append([]jobstate.Seen{}, o.Jobs...)
				jobs[i].Cause = cause
				o.Jobs = jobs
			}
		}
		return o
	case jobstate.NoAnswer:
		o.Reason = Text(o.Reason)
		return o
	case jobstate.Push:
		o.Cause = Text(o.Cause)
		return o
	case jobstate.Archived:
		o.Cause = Text(o.Cause)
		return o
	case jobstate.Exited:
		o.Message = Text(o.Message)
		return o
	case jobstate.ProcessEnded:
		o.Message = Text(o.Message)
		return o
	case jobstate.MainFailed:
		o.Cause = Text(o.Cause)
		return o
	case jobstate.NotFollowed:
		o.Reason = Text(o.Reason)
		return o
	case jobstate.SessionEnded:
		o.Reason = Text(o.Reason)
		return o
	case jobstate.AskResolve:
		o.Reason = Text(o.Reason)
		return o
	case jobstate.SavepointSeen:
		o.Cause = Text(o.Cause)
		return o
	}
	return o
}
