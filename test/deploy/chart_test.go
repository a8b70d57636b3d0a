//go:build deploy

package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flink-entrypoint/deploy/chart"
)

// TestChartValuesAreCompared: no value of the chart flink is left out by TestChart.
func TestChartValuesAreCompared(t *testing.T) {
	used := map[string]bool{}
	for _, v := range chart.Variants(false) {
		set, _ := ours(v)
		text, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		var values map[string]any
		if err := json.Unmarshal(text, &values); err != nil {
			t.Fatal(err)
		}
		for key := range leaves("", values) {
			used[key] = true
		}
	}
	for _, key := range chartValues(t, "flink") {
		if !used[key] {
			t.Errorf("no variant sets %s", key)
		}
	}
}

// eachAtOnce calls f with each index, some at the same time.
func eachAtOnce(n int, f func(int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range 4 {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// hard is a definition that would not survive careless quoting.
const hard = "# {{ .Values }} \"quotes\" 'and' \\ 100 % <b>&amp;\n\napiVersion: flink-entrypoint/v1\nname: clicks-per-page\nsql:\n  script: |\n    SELECT '\t', U&'\\00e9', 'é€😀'; -- $(POD_NAME) ${x}\n"

// ours are variants of values with what a user could set, in the place of placeholders, and the same without: what deploy/ has by itself.
func ours(v chart.Values) (set, plain chart.Values) {
	plain = chart.Values{Cluster: v.Cluster, DisruptionBudget: v.DisruptionBudget, NetworkPolicy: v.NetworkPolicy, TopologySpread: v.TopologySpread, PodMonitor: v.PodMonitor, ScrapeAnnotations: v.ScrapeAnnotations}
	plain.OfficialImage.Enabled, plain.HighAvailability.Enabled, plain.Reactive.Enabled = v.OfficialImage.Enabled, v.HighAvailability.Enabled, v.Reactive.Enabled
	switch {
	case v.Definition.Inline != "":
		plain.Definition.Inline = hard
	case v.Definition.URL != "":
		plain.Definition.URL, plain.Definition.SHA256 = "https://platform.example.com/jobs/clicks?a=1&b=2", strings.Repeat("0123456789abcdef", 4)
	}
	set = plain
	set.Image, set.OfficialImage.Image = chart.Image{Repository: "registry.example.com:5000/flink-entrypoint", Tag: "1"}, chart.Image{Repository: "registry.example.com/flink", Tag: "2.2.1-java17"}
	set.ImagePullSecrets = []any{map[string]any{"name": "registry"}, map[string]any{"name": "other"}}
	set.JobManager, set.TaskManager = chart.Size{CPU: "2", Memory: "3Gi"}, chart.TaskManager{Replicas: 12_000_000, Size: chart.Size{CPU: "500m", Memory: "5000Mi"}}
	set.Env = []any{map[string]any{"name": "S3_SECRET_KEY", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "s3", "key": "secret-key"}}}, map[string]any{"name": "YES", "value": "no"}}
	set.Volumes = []any{map[string]any{"name": "keys", "secret": map[string]any{"secretName": "keys"}}}
	set.VolumeMounts = []any{map[string]any{"name": "keys", "mountPath": "/run/keys", "readOnly": true}}
	if set.HighAvailability.Enabled {
		set.HighAvailability.Storage, set.HighAvailability.StorageClass = "1Ti", "shared"
	}
	if set.Reactive.Enabled {
		set.Reactive.MinReplicas, set.Reactive.MaxReplicas, set.Reactive.CPU = 2, 20, 55
	}
	if set.Definition.URL != "" {
		set.Definition.Settings = map[string]string{"FLINK_ENTRYPOINT_DEFINITION_TOKEN_FILE": "/etc/flink-entrypoint/token", "FLINK_ENTRYPOINT_FETCH_TIMEOUT": "5m"}
	}
	return set, plain
}

// TestChart: the chart flink makes the objects that Kustomize makes of deploy/, for the three clusters, with each component, all of them, and all but
// one; with CHART_PAIRS=1 with each two, too.
func TestChart(t *testing.T) {
	tools, err := openTools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	program, home := helm(t, helmModule), t.TempDir()
	var all []chart.Values
	for _, v := range chart.Variants(os.Getenv("CHART_PAIRS") != "") {
		set, plain := ours(v)
		all = append(all, set, plain)
	}
	if len(all) < 100 {
		t.Fatalf("only %d variants", len(all))
	}
	byHelm, problems := make(map[string]string, len(all)), make([]error, len(all))
	var mu sync.Mutex
	eachAtOnce(len(all), func(i int) {
		text, err := rendered(t.Context(), program, filepath.Join(home, releaseOf(i)), releaseOf(i), all[i])
		mu.Lock()
		defer mu.Unlock()
		byHelm[releaseOf(i)], problems[i] = text, err
	})
	if err := errors.Join(problems...); err != nil {
		t.Fatal(err)
	}
	matchSchemas(t, tools, byHelm)
	answers, err := tools.check(t.Context(), byHelm)
	if err != nil {
		t.Fatal(err)
	}
	// Several are built at once: the program reads much before it builds the first, and compares each object with all others of a build.
	const together = 20
	groups := slices.Collect(slices.Chunk(all, together))
	byGroup, problems := make(map[string]string, len(groups)), make([]error, len(groups))
	eachAtOnce(len(groups), func(i int) {
		text, err := kustomized(t.Context(), tools, filepath.Join(home, fmt.Sprintf("kustomize-%d", i)), groups[i], i*together)
		mu.Lock()
		defer mu.Unlock()
		byGroup[fmt.Sprint(i)], problems[i] = text, err
	})
	if err := errors.Join(problems...); err != nil {
		t.Fatal(err)
	}
	built, err := tools.check(t.Context(), byGroup)
	if err != nil {
		t.Fatal(err)
	}
	expected, failures := map[string][]object{}, 0
	for _, c := range built {
		maps.Copy(expected, clusters(c.Objects))
	}
	for i, v := range all {
		if diff := cmp.Diff(byName(t, expected[releaseOf(i)]), byName(t, answers[releaseOf(i)].Objects)); diff != "" {
			t.Errorf("%+v\n(-kustomize +helm)\n%s", v, diff)
			if failures++; failures > 3 {
				t.Fatal("and more")
			}
		}
	}
	t.Logf("%d variants", len(all))
}

// matchSchemas checks the objects of all variants against the schemas of Kubernetes: each once, since most differ in the name of their release only.
func matchSchemas(t *testing.T, tools *tools, byRelease map[string]string) {
	t.Helper()
	one := map[string]bool{}
	for _, text := range byRelease {
		for document := range strings.SplitSeq(releaseName.ReplaceAllString(text, "clicks"), "---\n") {
			one[document] = true
		}
	}
	answers, err := tools.check(t.Context(), map[string]string{"": strings.Join(slices.Sorted(maps.Keys(one)), "---\n")}, versions...)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(answers[""].Objects); n < 50 {
		t.Errorf("only %d different objects", n)
	}
	for _, p := range answers[""].Problems {
		t.Error(p)
	}
}

// releaseOf is the name of the release of a variant.
func releaseOf(i int) string { return fmt.Sprintf("clicks%d", i) }

var releaseName = regexp.MustCompile("clicks[0-9]+")

func rendered(ctx context.Context, program, dir, release string, v chart.Values) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	values := filepath.Join(dir, "values.json")
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(values, text, 0o644); err != nil {
		return "", err
	}
	return runHelm(ctx, program, dir, "template", release, filepath.Join(root, "deploy", "chart", "flink"), "-f", values)
}

// kustomized builds variants at once. first is the number of the first one.
func kustomized(ctx context.Context, tools *tools, dir string, variants []chart.Values, first int) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	deploy, err := filepath.Abs(filepath.Join(root, "deploy"))
	if err != nil {
		return "", err
	}
	resources := []string{}
	for i, v := range variants {
		release := releaseOf(first + i)
		folder := filepath.Join(dir, release)
		up, err := filepath.Rel(folder, deploy)
		if err != nil {
			return "", err
		}
		files, err := chart.Overlay(v, release, up)
		if err != nil {
			return "", err
		}
		if err := os.Mkdir(folder, 0o755); err != nil {
			return "", err
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
				return "", err
			}
		}
		resources = append(resources, release)
	}
	text, err := json.Marshal(map[string]any{"resources": resources})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o644); err != nil {
		return "", err
	}
	return tools.build(ctx, dir)
}

// definitionName is the name of a definition's ConfigMap, in whose end Helm and Kustomize differ.
var definitionName = regexp.MustCompile(`([a-z0-9]+-flink-definition)-[0-9a-f]{10}`)

// byName returns the objects by kind and name, as values that can be compared.
func byName(t *testing.T, objects []object) map[string]any {
	t.Helper()
	found := map[string]any{}
	for _, o := range objects {
		text, err := json.Marshal(o.raw)
		if err != nil {
			t.Fatal(err)
		}
		var value map[string]any
		if err := json.Unmarshal(definitionName.ReplaceAll(text, []byte("$1")), &value); err != nil {
			t.Fatal(err)
		}
		name := o.Kind + " " + value["metadata"].(map[string]any)["name"].(string)
		if found[name] != nil {
			t.Errorf("%s is there twice", name)
		}
		found[name] = value
	}
	return found
}

// TestChartValues: what does not fit together is refused with a sentence, and a changed definition has another name.
func TestChartValues(t *testing.T) {
	program, home := helm(t, helmModule), t.TempDir()
	definition := filepath.Join(home, "job.yaml")
	if err := os.WriteFile(definition, []byte(hard), 0o644); err != nil {
		t.Fatal(err)
	}
	flink := filepath.Join(root, "deploy", "chart", "flink")
	inline := []string{"--set-file", "definition.inline=" + definition}
	url := []string{"--set", "definition.url=https://example.com/job", "--set", "definition.sha256=" + strings.Repeat("0", 64)}
	for _, c := range []struct {
		name string
		args []string
		want []string // in the error
	}{
		{"no definition", []string{"--set", "cluster=streaming"}, []string{"cluster is streaming, which needs a definition", "--set-file definition.inline=job.yaml"}},
		{"two definitions", slices.Concat(inline, url), []string{"definition.inline and definition.url are both set"}},
		{"no digest", url[:2], []string{"definition.url needs definition.sha256"}},
		{"reactive session", []string{"--set", "reactive.enabled=true"}, []string{"reactive.enabled is true and cluster is session, expected streaming"}},
		{"more than most", append([]string{"--set", "cluster=streaming,reactive.enabled=true,reactive.minReplicas=9"}, inline...), []string{"reactive.minReplicas is 9, which is more than reactive.maxReplicas, 8"}},
		{"scraped twice", []string{"--set", "podMonitor.enabled=true,scrapeAnnotations.enabled=true"}, []string{"podMonitor.enabled and scrapeAnnotations.enabled are both true"}},
		{"budget of a Job", append([]string{"--set", "cluster=bounded,disruptionBudget.enabled=true"}, inline...), []string{"disruptionBudget.enabled is true and cluster is bounded"}},
		{"long name", []string{"--name-template", strings.Repeat("a", 36)}, []string{"has 36 characters, expected at most 35"}},
		{"unknown cluster", []string{"--set", "cluster=batch"}, []string{"/cluster", "value must be one of 'session', 'streaming', 'bounded'"}},
		{"unknown value", []string{"--set", "taskmanager.replicas=3"}, []string{"additional properties 'taskmanager' not allowed"}},
		{"no TaskManagers", []string{"--set", "taskManager.replicas=0"}, []string{"/taskManager/replicas", "minimum: got 0, want 1"}},
		{"size without a unit that Kubernetes knows", []string{"--set", "jobManager.memory=2GB"}, []string{"/jobManager/memory", "'2GB' does not match pattern"}},
		{"tag as a number", []string{"--set", "image.tag=22"}, []string{"/image/tag", "got number, want string"}},
		{"digest", []string{"--set", "definition.url=https://example.com/job", "--set", "definition.sha256=12ab"}, []string{"/definition/sha256"}},
		{"address", []string{"--set", "definition.url=file:///job"}, []string{"/definition/url"}},
		{"setting", []string{"--set", "definition.settings.TOKEN=x"}, []string{"'TOKEN' does not match pattern"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := runHelm(t.Context(), program, home, append([]string{"template", flink}, c.args...)...)
			if err == nil {
				t.Fatalf("rendered:\n%s", out)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
		})
	}
	names := map[string]string{}
	for _, text := range []string{hard, hard + "# changed\n", hard} {
		if err := os.WriteFile(definition, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := runHelm(t.Context(), program, home, append([]string{"template", "clicks", flink, "--set", "cluster=streaming"}, inline...)...)
		if err != nil {
			t.Fatal(err)
		}
		found := definitionName.FindAllString(out, -1)
		if found = slices.Compact(found); len(found) != 1 {
			t.Fatalf("names of the definition: %v", found)
		}
		if before := names[text]; before != "" && before != found[0] {
			t.Errorf("the same definition is called %s and %s", before, found[0])
		}
		names[text] = found[0]
	}
	if len(names) != 2 || names[hard] == names[hard+"# changed\n"] {
		t.Errorf("names of two definitions: %v", names)
	}
}

// TestChartsLint: helm lint finds nothing, and nothing to advise either.
func TestChartsLint(t *testing.T) {
	program, home := helm(t, helmModule), t.TempDir()
	for _, name := range []string{"flink", "platform"} {
		out, err := runHelm(t.Context(), program, home, "lint", "--strict", filepath.Join(root, "deploy", "chart", name))
		if err != nil || strings.Contains(out, "[WARNING]") || !strings.Contains(out, "0 chart(s) failed") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
