package boot

import (
	"fmt"
	"strings"

	"flink-entrypoint/internal/flinkconf"
)

// Keys of addresses and ports.
const (
	keyJobManagerAddress  = "jobmanager.rpc.address"
	keyJobManagerPort     = "jobmanager.rpc.port"
	keyJobManagerBindHost = "jobmanager.bind-host"
	keyTaskManagerHost    = "taskmanager.host"
	keyTaskManagerBind    = "taskmanager.bind-host"
	keyTaskManagerRPCPort = "taskmanager.rpc.port"
	keyResourceID         = "taskmanager.resource-id"
	keyRestAddress        = "rest.address"
	keyRestBindAddress    = "rest.bind-address"
	keyBlobPort           = "blob.server.port"
	keyQueryPort          = "query.server.port"
	keyQueryPortNew       = "queryable-state.server.ports"
	keyHAType             = "high-availability.type"
	keyHATypeOld          = "high-availability"
	keyHAPort             = "high-availability.jobmanager.port"
	keyNamespace          = "kubernetes.namespace"
)

// stockHost is the value of every address in the distribution's configuration since 1.15. In a container it
// reaches nobody, so it counts as "nobody chose".
const stockHost = "localhost"

// layers is the configuration while it is put together: what the base file gave, and what is wanted.
type layers struct {
	base     *flinkconf.Conf
	want     *flinkconf.Conf
	removed  map[string]flinkconf.Source
	warnings []string
}

func (l *layers) warnf(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

// set puts a value in place unless a stronger layer holds the key already.
func (l *layers) set(key, value string, layer flinkconf.Layer, where string) {
	e := flinkconf.Entry{Key: key, Source: flinkconf.Source{Layer: layer, Where: where}}
	e.Value = public(value)
	l.setEntry(e)
}

func (l *layers) setEntry(e flinkconf.Entry) {
	if have, ok := l.want.Get(e.Key); ok {
		if have.Source.Layer > e.Source.Layer {
			return
		}
		if have.Source.Layer == flinkconf.Definition && e.Source.Layer == flinkconf.Definition && have.Value.Reveal() != e.Value.Reveal() {
			l.warnings = append(l.warnings, fmt.Sprintf("%s is in the definition twice: %s counts, not %s", e.Key, e.Source.Where, have.Source.Where))
		}
		if have.Source.Layer == flinkconf.BaseFile && have.Value.Reveal() == e.Value.Reveal() && !e.Value.IsHidden() {
			// The file says so already, so its line stays. The layer still moves up: the value was chosen.
			e.Kind, e.Source.Where = have.Kind, have.Source.Where
		}
	}
	l.want.Set(e)
}

// chosen reports whether a person set the key: in a stronger place than the base file, or there with another value than stock.
func (l *layers) chosen(key, stock string) bool {
	e, ok := l.want.Get(key)
	return ok && (e.Source.Layer > flinkconf.Automatic || (e.Source.Layer == flinkconf.BaseFile && e.Value.Reveal() != stock))
}

// highAvailability returns the HA type in force in lower case, "" for none. The key lost its short name in 1.17.
func (l *layers) highAvailability() string {
	for _, key := range []string{keyHAType, keyHATypeOld} {
		if v := strings.TrimSpace(l.want.Text(key)); v != "" {
			if strings.EqualFold(v, "none") {
				return ""
			}
			return strings.ToLower(v)
		}
	}
	return ""
}

// hosts names this process and its surroundings for [layers.addresses].
type hosts struct {
	role      string
	advertise string // --advertise
	env       environment
	fqdn      func() (string, error)
}

// addresses gives every process the address at which others reach it, and a JobManager address to everybody else.
//
// A set JOB_MANAGER_RPC_ADDRESS is what the official image writes into the file on every role. With HA it
// would give the leader and its standby one address (FLINK-30518), so there the pod's own address is used.
func (l *layers) addresses(h hosts) error {
	switch h.role {
	case "jobmanager", "standalone-job":
		if err := l.jobManagerAddress(h); err != nil {
			return err
		}
	default:
		if v := h.env.get("JOB_MANAGER_RPC_ADDRESS"); v != "" {
			l.set(keyJobManagerAddress, v, flinkconf.ImageEnvironment, "JOB_MANAGER_RPC_ADDRESS")
		}
	}
	if h.role == "taskmanager" {
		l.taskManagerAddress(h)
	}
	for _, key := range []string{keyJobManagerBindHost, keyTaskManagerBind, keyRestBindAddress} {
		if l.isStock(key) {
			l.set(key, "0.0.0.0", flinkconf.Automatic, "reachable from outside the container")
		}
	}
	if address := l.want.Text(keyJobManagerAddress); l.isStock(keyRestAddress) && address != "" && address != stockHost {
		l.set(keyRestAddress, address, flinkconf.Automatic, "the JobManager's address")
	}
	l.fixedPorts(h.role)
	// Flink does not ask in which namespace its pod runs: it would look for its leaders in "default", where it has no rights.
	if ns := h.env.get("POD_NAMESPACE"); ns != "" && strings.Contains(l.highAvailability(), "kubernetes") && !l.want.Has(keyNamespace) {
		l.set(keyNamespace, ns, flinkconf.Automatic, "POD_NAMESPACE (high availability)")
	}
	return nil
}

func (l *layers) jobManagerAddress(h hosts) error {
	ha := l.highAvailability() != ""
	fromEnv := h.env.get("JOB_MANAGER_RPC_ADDRESS")
	switch {
	case h.advertise != "":
		l.set(keyJobManagerAddress, h.advertise, flinkconf.Flag, "--advertise")
		return nil
	case ha && h.env.get("POD_IP") != "":
		l.set(keyJobManagerAddress, h.env.get("POD_IP"), flinkconf.Automatic, "POD_IP (high availability)")
	case !ha && fromEnv != "":
		l.set(keyJobManagerAddress, fromEnv, flinkconf.ImageEnvironment, "JOB_MANAGER_RPC_ADDRESS")
		return nil
	case !ha && l.chosen(keyJobManagerAddress, stockHost):
		return nil
	default:
		if ha && l.chosenAboveFile(keyJobManagerAddress) {
			break
		}
		name, err := h.fqdn()
		if err != nil {
			return fail(Configuration, fmt.Errorf("cannot find this host's name for %s: %w", keyJobManagerAddress, err), "set --advertise or JOB_MANAGER_RPC_ADDRESS")
		}
		l.set(keyJobManagerAddress, name, flinkconf.Automatic, "this host's name")
	}
	if ha && fromEnv != "" && fromEnv != l.want.Text(keyJobManagerAddress) {
		l.warnf("JOB_MANAGER_RPC_ADDRESS=%s is ignored: with high availability each JobManager needs an address of its own (%s)", fromEnv, l.want.Text(keyJobManagerAddress))
	}
	return nil
}

func (l *layers) chosenAboveFile(key string) bool {
	e, ok := l.want.Get(key)
	return ok && e.Source.Layer > flinkconf.Automatic
}

func (l *layers) taskManagerAddress(h hosts) {
	switch {
	case h.advertise != "":
		l.set(keyTaskManagerHost, h.advertise, flinkconf.Flag, "--advertise")
	case l.isStock(keyTaskManagerHost):
		l.want.Delete(keyTaskManagerHost) // Flink then finds the address by connecting to the JobManager
	}
	if pod := h.env.get("POD_NAME"); pod != "" && !l.chosen(keyResourceID, "") {
		l.set(keyResourceID, pod, flinkconf.Automatic, "POD_NAME")
	}
}

// isStock reports whether the base file gives the key its stock value and nobody stronger set it.
func (l *layers) isStock(key string) bool {
	e, ok := l.want.Get(key)
	return ok && e.Source.Layer == flinkconf.BaseFile && e.Value.Reveal() == stockHost
}

// fixedPorts makes the ports that services and network policies name predictable where nobody chose.
func (l *layers) fixedPorts(role string) {
	const why = "fixed port"
	if !l.want.Has(keyBlobPort) {
		l.set(keyBlobPort, "6124", flinkconf.Automatic, why)
	}
	if !l.want.Has(keyQueryPort) && !l.want.Has(keyQueryPortNew) {
		l.set(keyQueryPort, "6125", flinkconf.Automatic, why)
	}
	if role == "taskmanager" && !l.want.Has(keyTaskManagerRPCPort) {
		l.set(keyTaskManagerRPCPort, "6122", flinkconf.Automatic, why)
	}
	if (role == "jobmanager" || role == "standalone-job") && l.highAvailability() != "" && !l.want.Has(keyHAPort) {
		port := l.want.Text(keyJobManagerPort)
		if port == "" {
			port = "6123"
		}
		l.set(keyHAPort, port, flinkconf.Automatic, why)
	}
}
