package chart

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// rights makes the template with the accounts and rights of the platform, from deploy/platform/rights. The platform's own account and rights
// have the name of the release; those of JobManagers have the name that the platform gives to its pods.
func rights(deploy fs.FS) ([]byte, error) {
	objects, err := run(deploy, map[string][]byte{"kustomization.yaml": []byte(`{"resources": ["../deploy/platform/rights"]}`)})
	if err != nil {
		return nil, err
	}
	const name, account = "flink-platform", "flink"
	names := 0
	text := "{{/* Made from deploy/platform/rights by \"go run ./deploy/chart/make\". Change deploy/ instead. */}}\n"
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		o := objects[key].(map[string]any)
		meta := o["metadata"].(map[string]any)
		own := meta["name"] == name
		meta["labels"] = map[string]any{optionPrefix + "labels": true}
		if own {
			meta["name"] = optionPrefix + "name"
			names++
		}
		if o["kind"] != "ServiceAccount" || !own {
			meta["namespace"] = optionPrefix + "clusters"
		}
		if ref, ok := o["roleRef"].(map[string]any); ok && own {
			ref["name"] = optionPrefix + "name"
		}
		subjects, _ := o["subjects"].([]any)
		for _, s := range subjects {
			subject := s.(map[string]any)
			switch subject["name"] {
			case name:
				subject["name"], subject["namespace"] = optionPrefix+"name", optionPrefix+"namespace"
			case account:
				subject["namespace"] = optionPrefix + "clusters"
			default:
				return nil, fmt.Errorf("deploy/platform/rights: unknown subject %v of %s", subject["name"], key)
			}
		}
		nodes, err := merge(key, map[int]any{0: o}, 1)
		if err != nil {
			return nil, err
		}
		lines, err := (&writer{}).object(nodes[0], "")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		body := "---\n" + strings.Join(lines, "\n") + "\n"
		if !own {
			body = "{{- if .Values.clusters.account }}\n" + body + "{{- end }}\n"
		}
		text += body
	}
	if names != 3 {
		return nil, fmt.Errorf("deploy/platform/rights has %d objects called %s, expected an account, a role and its binding", names, name)
	}
	for option, expression := range map[string]string{"name": `{{ include "platform.name" . | quote }}`, "clusters": `{{ include "platform.clusters" . | quote }}`, "namespace": `{{ .Release.Namespace | quote }}`} {
		text = strings.ReplaceAll(text, " "+optionPrefix+option+"\n", " "+expression+"\n")
	}
	return []byte(strings.ReplaceAll(text, optionPrefix+"labels: true", `{{- include "platform.labels" . | nindent 4 }}`)), nil
}

// optionPrefix begins a placeholder of the chart platform.
const optionPrefix = "zz-option-"
