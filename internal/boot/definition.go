package boot

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/settings"
)

// configure puts the definition's configuration in place.
func (j *Job) configure(conf *settings.Layers, v flinkversion.Version) error {
	named := slices.ContainsFunc(j.Configuration, func(s jobdef.Setting) bool { return s.Key == "pipeline.name" })
	if j.run.runsJob() && !named {
		if err := j.setText(conf, "pipeline.name", j.Name, "name"); err != nil {
			return err
		}
	}
	if ha := j.HighAvailability; ha != nil && !j.run.isNative() {
		key := settings.KeyHAType
		if !featuresOf(v).haType {
			key = settings.KeyHATypeOld
		}
		conf.Set(key, haType(ha.Type, v), flinkconf.Definition, "job definition highAvailability.type")
		texts := []struct {
			key, field string
			value      jobdef.Text
		}{
			{"high-availability.cluster-id", "highAvailability.clusterId", ha.ClusterID},
			{"high-availability.storageDir", "highAvailability.storageDir", ha.StorageDir},
			{"high-availability.zookeeper.quorum", "highAvailability.quorum", ha.Quorum},
		}
		if strings.EqualFold(ha.Type, "kubernetes") {
			texts = append(texts, texts[0])
			texts[len(texts)-1].key = "kubernetes.cluster-id"
		}
		for _, t := range texts {
			if err := j.setText(conf, t.key, t.value, t.field); err != nil {
				return err
			}
		}
	}
	for _, s := range j.Configuration {
		if strings.HasPrefix(s.Key, "env.") && s.Value.IsReference() {
			return phase.Fail(phase.DefinitionInvalid, fmt.Errorf("%s: a secret reference would be in the command line, where every user can read it", s.Value.Path()),
				"hand the program the name of the file or variable instead")
		}
		value, err := j.resolve(s.Value, phase.Configuration)
		if err != nil {
			return err
		}
		j.run.world.Redactor.AddEntry(s.Key, value.Reveal())
		if value.IsHidden() && !flinkconf.IsSensitive(s.Key, v) {
			j.run.Warn("%s is a secret reference, but Flink writes the value of %s into its log: it hides only keys whose name says password, secret, token and the like", s.Value.Path(), s.Key)
		}
		conf.SetEntry(flinkconf.Entry{Key: s.Key, Value: value, Source: flinkconf.Source{Layer: flinkconf.Definition, Where: "job definition configuration"}})
	}
	return nil
}

// setText sets a key from a field of the definition, unless the field is absent.
func (j *Job) setText(conf *settings.Layers, key string, t jobdef.Text, field string) error {
	if t.IsZero() {
		return nil
	}
	value, err := j.resolve(t, phase.DefinitionInvalid)
	if err != nil {
		return err
	}
	conf.SetEntry(flinkconf.Entry{Key: key, Value: value, Source: flinkconf.Source{Layer: flinkconf.Definition, Where: "job definition " + field}})
	return nil
}

// haType returns the value of the HA key: until 1.16 Kubernetes had no short name (FLINK-29154).
func haType(t string, v flinkversion.Version) string {
	if strings.EqualFold(t, "kubernetes") && !featuresOf(v).haType {
		return "org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory"
	}
	return t
}
