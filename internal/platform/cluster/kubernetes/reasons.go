package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// What is before the first colon of these sentences names the reason; it is the same as long as the reason is.

// waits says why a pod does not run yet. stuck: and what to do, since waiting alone may not help.
func (r reader) waits(p *corev1.Pod, c *corev1.ContainerStatus) (text string, stuck bool) {
	if c != nil && c.State.Waiting != nil {
		w := c.State.Waiting
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff":
			return sentence("its image cannot be pulled", imageOf(p)+", "+r.said(p.Name, "Failed", w.Message), "look at serve --image, and at the pull secrets of the account of the pods"), true
		case "InvalidImageName":
			return sentence("its image has no valid name", imageOf(p), "look at serve --image"), true
		case "ErrImageNeverPull":
			return sentence("its image is not on the node", imageOf(p), "load it there, or let it be pulled"), true
		case "CreateContainerConfigError":
			return sentence("something that its container needs does not exist", w.Message, "make it; the pod goes on by itself"), true
		case "CreateContainerError", "RunContainerError", "StartError":
			return sentence("its container cannot be started", w.Message, "look at the image and at what is mounted"), true
		case "CrashLoopBackOff":
			last := ""
			if t := c.LastTerminationState.Terminated; t != nil {
				last = fmt.Sprintf("exit code %d, %s", t.ExitCode, endedBy(p, t))
			}
			return sentence("it ended several times in a row", last, "Kubernetes waits before it starts it again"), true
		}
	} else if u := unschedulable(p); u != nil {
		return sentence("no node has room for it", u.Message, "it asks for "+asks(p)+"; lower resources in the definition, or add a node"), true
	} else if p.Spec.NodeName == "" {
		return "it waits for a node", false
	}
	if text := r.said(p.Name, "FailedMount", ""); text != "" {
		return sentence("a volume cannot be mounted", text, "make what it names; the pod goes on by itself"), true
	}
	if text := r.said(p.Name, "FailedCreatePodSandBox", ""); text != "" {
		return sentence("its node cannot make the pod", text, ""), true
	}
	return "its container is being made", false
}

// unschedulable is what the scheduler says of a pod that it finds no node for; nil: nothing.
func unschedulable(p *corev1.Pod) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return c
		}
	}
	return nil
}

// notMade says why a workload has fewer pods than it should have.
func (r reader) notMade(workload string) (text string, stuck bool) {
	if text := r.said(workload, "FailedCreate", ""); text != "" {
		return sentence("Kubernetes refuses to make its pod", text, "look at quotas, limit ranges and policies of the namespace"), true
	}
	return "its pod is not made yet", false
}

// final are the exit codes of the entrypoint that another container of the same run ends with, too: usage, definition, memory, configuration, SQL,
// Flink home, disk, and a program that cannot be executed.
var final = []int{20, 22, 24, 25, 26, 28, 29, 126, 127}

// own are the exit codes whose termination message is the entrypoint's. With any other code it is the end of the log, which the log has, too.
var own = []int{20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 70, 126, 127}

// said is the newest warning with a reason of an object, or of an object whose name begins with its name (the ReplicaSet of a Deployment).
func (r reader) said(name, reason, otherwise string) string {
	var newest *corev1.Event
	for _, e := range r.warnings {
		if e.Reason == reason && (e.InvolvedObject.Name == name || strings.HasPrefix(e.InvolvedObject.Name, name+"-")) && (newest == nil || at(newest).Before(at(e))) {
			newest = e
		}
	}
	if newest == nil {
		return otherwise
	}
	return newest.Message
}

// endedBy is why a container ended, as far as more is known than the exit code.
func endedBy(p *corev1.Pod, t *corev1.ContainerStateTerminated) string {
	field := "resources.taskManager.memory"
	if p.Labels["component"] == "jobmanager" {
		field = "resources.jobManager.memory"
	}
	switch {
	case t != nil && t.Reason == "OOMKilled":
		return sentence("it used more memory than its container may, and was killed", "OOMKilled, the limit is "+limitOf(p), "give "+field+" more, or leave more outside of the heap")
	case p.Status.Reason == "Evicted":
		return sentence("its node evicted it", p.Status.Message, "")
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return sentence("Kubernetes ended it ("+c.Reason+")", c.Message, "")
		}
	}
	switch {
	case t != nil && slices.Contains(own, int(t.ExitCode)) && t.Message != "":
		return strings.TrimSpace(t.Message)
	case t != nil && !slices.Contains([]string{"", "Error", "Completed"}, t.Reason):
		return t.Reason
	}
	return strings.TrimSpace(p.Status.Message)
}

// sentence is what is wrong, what Kubernetes says, and what to do.
func sentence(wrong, said, hint string) string {
	const most = 1000
	if said = strings.Join(strings.Fields(said), " "); len(said) > most {
		said = strings.ToValidUTF8(said[:most], "") + " …"
	}
	if said != "" {
		wrong += ": " + strings.TrimSuffix(strings.TrimSpace(said), ".")
	}
	if hint != "" {
		wrong += "; " + hint
	}
	return wrong
}

func containerOf(p *corev1.Pod) *corev1.Container {
	for i := range p.Spec.Containers {
		if p.Spec.Containers[i].Name == containerName {
			return &p.Spec.Containers[i]
		}
	}
	return &corev1.Container{}
}

func imageOf(p *corev1.Pod) string { return containerOf(p).Image }

func limitOf(p *corev1.Pod) string { return containerOf(p).Resources.Limits.Memory().String() }

// asks is what the scheduler looks for. A limit without a request is the request.
func asks(p *corev1.Pod) string {
	r := containerOf(p).Resources
	memory := r.Requests.Memory()
	if memory.IsZero() {
		memory = r.Limits.Memory()
	}
	return fmt.Sprintf("%s CPU and %s of memory", r.Requests.Cpu(), memory)
}

// at is when an event was seen last.
func at(e *corev1.Event) time.Time {
	if e.LastTimestamp.IsZero() {
		return e.EventTime.Time
	}
	return e.LastTimestamp.Time
}
