package chart

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A choice is a decision that changes which lines a template has: how the values say it, and what it is called in a template.
type choice struct {
	name   string
	choose func(*Values)
	holds  func(*Values) bool
	expr   string
	// not is how a template says that the choice was not made.
	not string
}

// clusters are the choices of which exactly one is made.
var clusters = []string{"session", "streaming", "bounded"}

// choices are the choices that can be made beside the cluster, each alone or with others.
var choices = []choice{
	enabled("definition.inline", func(v *Values) { v.Definition.Inline = placeholder("definition.inline") }, func(v *Values) bool { return v.Definition.Inline != "" }),
	enabled("definition.url", func(v *Values) {
		v.Definition = Definition{URL: placeholder("definition.url"), SHA256: placeholder("definition.sha256"), Settings: map[string]string{placeholder("definition.settings"): "any"}}
	}, func(v *Values) bool { return v.Definition.URL != "" }),
	enabled("highAvailability.enabled", func(v *Values) {
		v.HighAvailability = HighAvailability{Enabled: true, Storage: placeholder("highAvailability.storage"), StorageClass: placeholder("highAvailability.storageClass")}
	}, func(v *Values) bool { return v.HighAvailability.Enabled }),
	enabled("reactive.enabled", func(v *Values) {
		v.Reactive = Reactive{Enabled: true, MinReplicas: number("reactive.minReplicas"), MaxReplicas: number("reactive.maxReplicas"), CPU: number("reactive.cpu")}
	}, func(v *Values) bool { return v.Reactive.Enabled }),
	enabled("officialImage.enabled", func(v *Values) {
		v.OfficialImage = OfficialImage{true, Image{placeholder("officialImage.repository"), placeholder("officialImage.tag")}}
	}, func(v *Values) bool { return v.OfficialImage.Enabled }),
	enabled("disruptionBudget.enabled", func(v *Values) { v.DisruptionBudget.Enabled = true }, func(v *Values) bool { return v.DisruptionBudget.Enabled }),
	enabled("networkPolicy.enabled", func(v *Values) { v.NetworkPolicy.Enabled = true }, func(v *Values) bool { return v.NetworkPolicy.Enabled }),
	enabled("topologySpread.enabled", func(v *Values) { v.TopologySpread.Enabled = true }, func(v *Values) bool { return v.TopologySpread.Enabled }),
	enabled("podMonitor.enabled", func(v *Values) { v.PodMonitor.Enabled = true }, func(v *Values) bool { return v.PodMonitor.Enabled }),
	enabled("scrapeAnnotations.enabled", func(v *Values) { v.ScrapeAnnotations.Enabled = true }, func(v *Values) bool { return v.ScrapeAnnotations.Enabled }),
}

func enabled(value string, choose func(*Values), holds func(*Values) bool) choice {
	return choice{name: value, choose: choose, holds: holds, expr: ".Values." + value, not: "not .Values." + value}
}

// Sensible reports whether the chart takes the values; templates/checks.yaml says why others are refused.
func (v *Values) Sensible() bool {
	switch {
	case v.Definition.Inline != "" && v.Definition.URL != "":
	case v.Definition.Inline == "" && v.Definition.URL == "" && v.Cluster != "session":
	case v.Reactive.Enabled && v.Cluster != "streaming":
	case v.PodMonitor.Enabled && v.ScrapeAnnotations.Enabled: // each pod would be scraped twice
	case v.DisruptionBudget.Enabled && v.Cluster == "bounded": // a Job has no scale, so none of its pods could be evicted
	default:
		return true
	}
	return false
}

// Variants are values with placeholders for everything that a user can set, so that together they show what each choice changes: no choice, each
// one, all of them, and all but one. The templates are made from these. With pairs there is also each combination of two, to check them.
func Variants(pairs bool) []Values {
	var list []Values
	seen := map[string]bool{}
	add := func(cluster string, chosen ...int) {
		v := Values{
			Cluster:          cluster,
			Image:            Image{placeholder("image.repository"), placeholder("image.tag")},
			JobManager:       Size{placeholder("jobManager.cpu"), placeholder("jobManager.memory")},
			TaskManager:      TaskManager{number("taskManager.replicas"), Size{placeholder("taskManager.cpu"), placeholder("taskManager.memory")}},
			Env:              []any{map[string]any{"name": placeholder("env")}},
			Volumes:          []any{map[string]any{"name": placeholder("volumes")}},
			VolumeMounts:     []any{map[string]any{"name": placeholder("volumeMounts"), "mountPath": "any"}},
			ImagePullSecrets: []any{map[string]any{"name": placeholder("imagePullSecrets")}},
		}
		for _, i := range chosen {
			choices[i].choose(&v)
		}
		if key := fmt.Sprintf("%+v", v); v.Sensible() && !seen[key] {
			seen[key] = true
			list = append(list, v)
		}
	}
	const inline, url = 0, 1
	for _, cluster := range clusters {
		for _, definition := range [][]int{{}, {inline}, {url}} {
			with := func(chosen ...int) { add(cluster, append(slices.Clone(definition), chosen...)...) }
			with()
			var all []int
			for i := url + 1; i < len(choices); i++ {
				with(i)
				for j := i + 1; pairs && j < len(choices); j++ {
					with(i, j)
				}
				if possible(cluster, append(slices.Clone(all), i)) {
					all = append(all, i)
				}
			}
			with(all...)
			for i := range all {
				with(slices.Delete(slices.Clone(all), i, i+1)...)
			}
		}
	}
	return list
}

// possible reports whether a cluster can have all of the choices, a definition aside.
func possible(cluster string, chosen []int) bool {
	v := Values{Cluster: cluster, Definition: Definition{Inline: "any"}}
	for _, i := range chosen {
		choices[i].choose(&v)
	}
	return v.Sensible()
}

// Placeholders are in the manifests of variants where a template has a value. They are words that no manifest has.
const (
	releasePlaceholder = "zz-release-zz"
	beginPlaceholder   = "zz-value-"
	endPlaceholder     = "-zz"
)

// settable are the values that are put into manifests, by their place in the values.
var settable = []string{
	"image.repository", "image.tag", "officialImage.repository", "officialImage.tag", "imagePullSecrets",
	"definition.inline", "definition.url", "definition.sha256", "definition.settings",
	"jobManager.cpu", "jobManager.memory", "taskManager.cpu", "taskManager.memory", "taskManager.replicas",
	"highAvailability.storage", "highAvailability.storageClass",
	"reactive.minReplicas", "reactive.maxReplicas", "reactive.cpu",
	"env", "volumes", "volumeMounts",
}

func index(value string) int {
	i := slices.Index(settable, value)
	if i < 0 {
		panic("internal error (a bug): " + value + " is not settable")
	}
	return i
}

func placeholder(value string) string {
	return fmt.Sprintf("%s%d%s", beginPlaceholder, index(value), endPlaceholder)
}

// numbers of placeholders: more than any manifest has.
const firstNumber = 7_000_000

func number(value string) int { return firstNumber + index(value) }

// valueOf is the value that the text is the placeholder of, "" if it is not one.
func valueOf(text string) string {
	for _, value := range settable {
		if text == placeholder(value) {
			return value
		}
	}
	return ""
}

// A literal is a condition in the words of a template.
type literal struct {
	expr string
	in   set
}

// A set is a set of variants.
type set []bool

func (s set) equal(o set) bool { return slices.Equal(s, o) }

func (s set) and(o set) set {
	both := make(set, len(s))
	for i := range s {
		both[i] = s[i] && o[i]
	}
	return both
}

func (s set) or(o set) set {
	either := make(set, len(s))
	for i := range s {
		either[i] = s[i] || o[i]
	}
	return either
}

func (s set) without(o set) set {
	rest := make(set, len(s))
	for i := range s {
		rest[i] = s[i] && !o[i]
	}
	return rest
}

func (s set) none() bool { return !slices.Contains(s, true) }

// literals are the conditions from which conditions are made: simple ones first.
func literals(variants []Values) []literal {
	var list []literal
	add := func(expr string, holds func(*Values) bool) {
		in := make(set, len(variants))
		for i := range variants {
			in[i] = holds(&variants[i])
		}
		list = append(list, literal{expr, in})
	}
	for _, c := range clusters {
		add(fmt.Sprintf("eq .Values.cluster %q", c), func(v *Values) bool { return v.Cluster == c })
	}
	for _, c := range choices {
		add(c.expr, c.holds)
	}
	for _, c := range clusters {
		add(fmt.Sprintf("ne .Values.cluster %q", c), func(v *Values) bool { return v.Cluster != c })
	}
	for _, c := range choices {
		add(c.not, func(v *Values) bool { return !c.holds(v) })
	}
	return list
}

// condition is the simplest condition that holds, among the variants of within, for those of in: "" if it always holds.
func condition(all []literal, in, within set) (string, error) {
	if in.equal(within) {
		return "", nil
	}
	fits := func(s set) bool { return s.and(within).equal(in) }
	for _, a := range all {
		if fits(a.in) {
			return a.expr, nil
		}
	}
	for i, a := range all {
		for _, b := range all[i+1:] {
			if fits(a.in.and(b.in)) {
				return "and " + word(a) + " " + word(b), nil
			}
			if fits(a.in.or(b.in)) {
				return "or " + word(a) + " " + word(b), nil
			}
		}
	}
	// Several choices that each have it.
	var words []string
	have := make(set, len(in))
	for _, a := range all {
		if part := a.in.and(within); part.without(in).none() && !part.without(have).none() {
			have, words = have.or(part), append(words, word(a))
		}
	}
	if have.equal(in) {
		return "or " + strings.Join(words, " "), nil
	}
	return "", errors.New("no condition says which variants have this")
}

// word is a condition as one word of another one.
func word(l literal) string {
	if strings.Contains(l.expr, " ") {
		return "(" + l.expr + ")"
	}
	return l.expr
}
