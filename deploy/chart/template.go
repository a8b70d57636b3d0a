package chart

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// templates makes the files of flink/templates that hold manifests, from the folders of deploy/: name → text.
func templates(deploy fs.FS) (map[string][]byte, error) {
	variants := Variants(false)
	values, errs := make(map[int]any, len(variants)), make([]error, len(variants))
	objects := make([]map[string]any, len(variants))
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.NumCPU())
	for i, v := range variants {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if objects[i], errs[i] = build(deploy, v); errs[i] != nil {
				errs[i] = fmt.Errorf("%+v: %w", v, errs[i])
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i := range variants {
		values[i] = objects[i]
	}
	roots, err := merge("", values, len(variants))
	if err != nil {
		return nil, err
	}
	w := writer{literals(variants)}
	files := map[string][]byte{}
	for _, f := range roots[0].fields {
		kind, _, _ := strings.Cut(f.key, " ")
		n := f.alternatives[0]
		lines, err := w.object(n, "")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
		lines, err = w.conditional(roots[0].in, []block{{n.in, append([]string{"---"}, lines...)}}, "")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
		name := strings.ToLower(kind) + ".yaml"
		if files[name] == nil {
			files[name] = []byte("{{/* Made from deploy/ by \"go run ./deploy/chart/make\". Change deploy/ instead. */}}\n")
		}
		files[name] = append(files[name], strings.Join(lines, "\n")+"\n"...)
	}
	return files, nil
}

// build returns the objects of a variant: kind and name → object.
func build(deploy fs.FS, v Values) (map[string]any, error) {
	files, err := Overlay(v, releasePlaceholder, "../deploy")
	if err != nil {
		return nil, err
	}
	return run(deploy, files)
}

// run builds a folder with these files, beside deploy/.
func run(deploy fs.FS, files map[string][]byte) (map[string]any, error) {
	disk := filesys.MakeFsInMemory()
	err := fs.WalkDir(deploy, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == "chart" {
				return fs.SkipDir
			}
			return err
		}
		text, err := fs.ReadFile(deploy, name)
		if err != nil {
			return err
		}
		return disk.WriteFile(path.Join("/deploy", name), text)
	})
	if err != nil {
		return nil, err
	}
	for name, text := range files {
		if err := disk.WriteFile(path.Join("/variant", name), text); err != nil {
			return nil, err
		}
	}
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/variant")
	if err != nil {
		return nil, err
	}
	objects := map[string]any{}
	for _, r := range made.Resources() {
		text, err := r.MarshalJSON()
		if err != nil {
			return nil, err
		}
		var o map[string]any
		if err := json.Unmarshal(text, &o); err != nil {
			return nil, err
		}
		objects[r.GetKind()+" "+r.GetName()] = o
	}
	return objects, nil
}

// A writer writes manifests as a template.
type writer struct{ literals []literal }

// A block is lines that some variants have.
type block struct {
	in    set
	lines []string
}

// conditional puts conditions around the blocks that not all of the variants within have.
func (w *writer) conditional(within set, blocks []block, indent string) ([]string, error) {
	var lines []string
	for i := 0; i < len(blocks); {
		b := block{in: blocks[i].in}
		for ; i < len(blocks) && blocks[i].in.equal(b.in); i++ {
			b.lines = append(b.lines, blocks[i].lines...)
		}
		when, err := condition(w.literals, b.in, within)
		if err != nil {
			return nil, fmt.Errorf("%w:\n%s", err, strings.Join(b.lines, "\n"))
		}
		if when == "" {
			lines = append(lines, b.lines...)
			continue
		}
		lines = append(append(lines, indent+"{{- if "+when+" }}"), b.lines...)
		for first, rest := true, within.without(b.in); i < len(blocks) && blocks[i].in.equal(rest); i++ {
			if first {
				lines, first = append(lines, indent+"{{- else }}"), false
			}
			lines = append(lines, blocks[i].lines...)
		}
		lines = append(lines, indent+"{{- end }}")
	}
	return lines, nil
}

// object returns the lines of an object's fields.
func (w *writer) object(n *node, indent string) ([]string, error) {
	var blocks []block
	for _, f := range n.fields {
		for _, a := range f.alternatives {
			lines, err := w.field(f.key, a, indent)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.key, err)
			}
			blocks = append(blocks, block{a.in, lines})
		}
	}
	return w.conditional(n.in, blocks, indent)
}

// optional are the values without which the key is not there.
var optional = []string{"highAvailability.storageClass", "imagePullSecrets"}

func (w *writer) field(key string, n *node, indent string) ([]string, error) {
	if value := valueOf(key); value != "" { // keys and values are the user's
		return userYAML(value, indent), nil
	}
	switch {
	case n.kind == leaf:
		text, err := scalar(n.scalar)
		if err != nil {
			return nil, err
		}
		if s, ok := n.scalar.(string); ok && slices.Contains(optional, valueOf(s)) {
			return []string{indent + "{{- with .Values." + valueOf(s) + " }}", indent + key + ": {{ . | quote }}", indent + "{{- end }}"}, nil
		}
		return []string{indent + key + ": " + text}, nil
	case n.empty:
		return []string{indent + key + map[kind]string{object: ": {}", list: ": []"}[n.kind]}, nil
	case n.kind == object:
		lines, err := w.object(n, indent+"  ")
		return append([]string{indent + key + ":"}, lines...), err
	}
	if value := userItems(n.items[0]); len(n.items) == 1 && slices.Contains(optional, value) {
		return []string{indent + "{{- with .Values." + value + " }}", indent + key + ":", fmt.Sprintf("%s  {{- toYaml . | nindent %d }}", indent, len(indent)+2), indent + "{{- end }}"}, nil
	}
	lines, err := w.list(n, indent+"  ")
	return append([]string{indent + key + ":"}, lines...), err
}

// list returns the lines of a list's items.
func (w *writer) list(n *node, indent string) ([]string, error) {
	var blocks []block
	for _, item := range n.items {
		var lines []string
		var err error
		switch value := userItems(item); {
		case value != "":
			lines = userYAML(value, indent)
		case item.kind == leaf:
			var text string
			text, err = scalar(item.scalar)
			lines = []string{indent + "- " + text}
		case item.kind == object && !item.empty:
			if lines, err = w.object(item, indent+"  "); err == nil {
				rest, plain := strings.CutPrefix(lines[0], indent+"  ")
				if !plain || strings.HasPrefix(rest, "{{") {
					return nil, fmt.Errorf("an item of a list begins with a condition: %s", lines[0])
				}
				lines[0] = indent + "- " + rest
			}
		default:
			err = errors.New("a list in a list, or an empty object in a list")
		}
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, block{item.in, lines})
	}
	return w.conditional(n.in, blocks, indent)
}

// userItems is the value whose items are in the place of this one, "" if it is not the placeholder of any.
func userItems(n *node) string {
	for _, f := range n.fields {
		if s, ok := f.alternatives[0].scalar.(string); ok && f.key == "name" {
			return valueOf(s)
		}
	}
	return ""
}

func userYAML(value, indent string) []string {
	return []string{indent + "{{- with .Values." + value + " }}", fmt.Sprintf("%s{{- toYaml . | nindent %d }}", indent, len(indent)), indent + "{{- end }}"}
}

var (
	// plain texts need no quotes in YAML, unless they are a word that means something else.
	plain    = regexp.MustCompile(`^[A-Za-z/][-A-Za-z0-9_./]*$`)
	reserved = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
	inText   = regexp.MustCompile(beginPlaceholder + `([0-9]+)` + endPlaceholder)
)

// scalar writes a leaf.
func scalar(value any) (string, error) {
	switch v := value.(type) {
	case float64:
		if n := int(v) - firstNumber; n >= 0 && n < len(settable) {
			return "{{ .Values." + settable[n] + " | int }}", nil
		}
		if v != math.Trunc(v) {
			return "", fmt.Errorf("%v is not an integer", v)
		}
		return strconv.Itoa(int(v)), nil
	case string:
		if strings.Contains(v, "{{") {
			return "", fmt.Errorf("%q would be read as a template", v)
		}
		switch name := valueOf(v); {
		case name == "definition.inline":
			return "{{ .Values." + name + " | toJson }}", nil
		case name != "":
			return "{{ .Values." + name + " | quote }}", nil
		case plain.MatchString(v) && !slices.Contains(reserved, strings.ToLower(v)) && !strings.Contains(v, releasePlaceholder):
			return v, nil
		}
		text, err := json.Marshal(v)
		if err != nil {
			return "", err
		}
		s := strings.ReplaceAll(string(text), releasePlaceholder+"-flink-definition", `{{ include "flink.definition" . }}`)
		s = strings.ReplaceAll(s, releasePlaceholder, "{{ .Release.Name }}")
		return inText.ReplaceAllStringFunc(s, func(p string) string { return "{{ .Values." + valueOf(p) + " }}" }), nil
	default:
		text, err := json.Marshal(v)
		return string(text), err
	}
}
