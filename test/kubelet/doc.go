// Package kubelet runs the pods of deploy/, and clusters of Flink's native mode, on a real Kubernetes (make test-kubelet, tag kubelet).
//
// API server, controller manager, scheduler, kube-proxy and kubelet are built from the modules of Kubernetes; etcd, containerd and the CNI
// plugins are Debian's. They run in namespaces of their own (processes, mounts, network), so they meet no port, no service and no setting
// of the machine, and end with the test, whatever becomes of it. What has no namespace, their cgroups and their folder, the test removes.
//
// The only part that is the test's own is DNS: it answers for the names of Services, from what the API server says (network_test.go).
//
// The pods of deploy/ are made by the test, of the workloads' templates, and bound to the node; a line in their hosts files replaces the
// Service. Native clusters are started by Flink's own client on the node: the controllers make the JobManager's pod of the Deployment, the
// JobManager asks for its TaskManagers, and the scheduler binds both.
package kubelet
