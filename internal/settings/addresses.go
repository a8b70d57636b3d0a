package settings

import (
	"fmt"
	"strings"

	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/phase"
)

// Keys of addresses and ports.
const (
	KeyJobManagerAddress  = "jobmanager.rpc.address"
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
	KeyHAType             = "high-availability.type"
	KeyHATypeOld          = "high-availability"
	keyHAPort             = "high-availability.jobmanager.port"
	keyNamespace          = "kubernetes.namespace"
)

// stockHost is the value of every address in the distribution's configuration since 1.15. In a container nothing
// is reached there, so it counts as not set.
const stockHost = "localhost"

// Hosts names this process and its surroundings for [Layers.Addresses].
type Hosts struct {
	Role      string
	Advertise string // --advertise
	Vars      environ.Vars
	FQDN      func() (string, error)
}

// Addresses gives every process the address at which others reach it, and all other processes the JobManager's address.
//
// A set JOB_MANAGER_RPC_ADDRESS is what the official image writes into the file on every role. With HA it
// would give the leader and its standby one address (FLINK-30518), so there the pod's own address is used.
func (l *Layers) Addresses(h Hosts) error {
	switch h.Role {
	case "jobmanager", "standalone-job":
		if err := l.jobManagerAddress(h); err != nil {
			return err
		}
	default:
		if v := h.Vars.Get("JOB_MANAGER_RPC_ADDRESS"); v != "" {
			l.Set(KeyJobManagerAddress, v, flinkconf.ImageEnvironment, "JOB_MANAGER_RPC_ADDRESS")
		}
	}
	if h.Role == "taskmanager" {
		l.taskManagerAddress(h)
	}
	for _, key := range []string{keyJobManagerBindHost, keyTaskManagerBind, keyRestBindAddress} {
		if l.isStock(key) {
			l.Set(key, "0.0.0.0", flinkconf.Automatic, "reachable from outside the container")
		}
	}
	if address := l.Want.Text(KeyJobManagerAddress); l.isStock(keyRestAddress) && address != "" && address != stockHost {
		l.Set(keyRestAddress, address, flinkconf.Automatic, "the JobManager's address")
	}
	l.fixedPorts(h.Role)
	// Flink does not ask in which namespace its pod runs: it would look for its leaders in "default", where it has no rights.
	if ns := h.Vars.Get("POD_NAMESPACE"); ns != "" && strings.Contains(l.HighAvailability(), "kubernetes") && !l.Want.Has(keyNamespace) {
		l.Set(keyNamespace, ns, flinkconf.Automatic, "POD_NAMESPACE (high availability)")
	}
	return nil
}

func (l *Layers) jobManagerAddress(h Hosts) error {
	ha := l.HighAvailability() != ""
	fromEnv := h.Vars.Get("JOB_MANAGER_RPC_ADDRESS")
	variable := "POD_IP"
	ip := h.Vars.Get(variable)
	if ip == "" {
		variable = "_POD_IP_ADDRESS" // Flink's own name, which operators use
		ip = h.Vars.Get(variable)
	}
	switch {
	case h.Advertise != "":
		l.Set(KeyJobManagerAddress, h.Advertise, flinkconf.Flag, "--advertise")
		return nil
	case ha && ip != "":
		l.Set(KeyJobManagerAddress, ip, flinkconf.Automatic, variable+" (high availability)")
	case !ha && fromEnv != "":
		l.Set(KeyJobManagerAddress, fromEnv, flinkconf.ImageEnvironment, "JOB_MANAGER_RPC_ADDRESS")
		return nil
	case !ha && l.chosen(KeyJobManagerAddress, stockHost):
		return nil
	default:
		if ha && l.chosenAboveFile(KeyJobManagerAddress) {
			break
		}
		name, err := h.FQDN()
		if err != nil {
			return phase.Fail(phase.Configuration, fmt.Errorf("cannot find this host's name for %s: %w", KeyJobManagerAddress, err), "set --advertise or JOB_MANAGER_RPC_ADDRESS")
		}
		l.Set(KeyJobManagerAddress, name, flinkconf.Automatic, "this host's name")
	}
	if ha && fromEnv != "" && fromEnv != l.Want.Text(KeyJobManagerAddress) {
		l.Warn("JOB_MANAGER_RPC_ADDRESS=%s is ignored: with high availability each JobManager needs an address of its own (%s)", fromEnv, l.Want.Text(KeyJobManagerAddress))
	}
	return nil
}

func (l *Layers) chosenAboveFile(key string) bool {
	e, ok := l.Want.Get(key)
	return ok && e.Source.Layer > flinkconf.Automatic
}

func (l *Layers) taskManagerAddress(h Hosts) {
	switch {
	case h.Advertise != "":
		l.Set(keyTaskManagerHost, h.Advertise, flinkconf.Flag, "--advertise")
	case l.isStock(keyTaskManagerHost):
		l.Want.Delete(keyTaskManagerHost) // Flink then finds the address by connecting to the JobManager
	}
	if pod := h.Vars.Get("POD_NAME"); pod != "" && !l.chosen(keyResourceID, "") {
		l.Set(keyResourceID, pod, flinkconf.Automatic, "POD_NAME")
	}
}

// isStock reports whether the base file gives the key its stock value and no stronger layer sets it.
func (l *Layers) isStock(key string) bool {
	e, ok := l.Want.Get(key)
	return ok && e.Source.Layer == flinkconf.BaseFile && e.Value.Reveal() == stockHost
}

// fixedPorts makes the ports that services and network policies name predictable where they were not set.
func (l *Layers) fixedPorts(role string) {
	const why = "fixed port"
	if !l.Want.Has(keyBlobPort) {
		l.Set(keyBlobPort, "6124", flinkconf.Automatic, why)
	}
	if !l.Want.Has(keyQueryPort) && !l.Want.Has(keyQueryPortNew) {
		l.Set(keyQueryPort, "6125", flinkconf.Automatic, why)
	}
	if role == "taskmanager" && !l.Want.Has(keyTaskManagerRPCPort) {
		l.Set(keyTaskManagerRPCPort, "6122", flinkconf.Automatic, why)
	}
	if (role == "jobmanager" || role == "standalone-job") && l.HighAvailability() != "" && !l.Want.Has(keyHAPort) {
		port := l.Want.Text(keyJobManagerPort)
		if port == "" {
			port = "6123"
		}
		l.Set(keyHAPort, port, flinkconf.Automatic, why)
	}
}
