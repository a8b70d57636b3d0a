// Package kubelet runs the pods of deploy/ on a real API server and a real kubelet (make test-kubelet, tag kubelet).
//
// Both are built from the modules of Kubernetes; etcd, containerd and the CNI plugins are Debian's. They run in namespaces of their own
// (processes, mounts, network), so they meet no port, no service and no setting of the machine, and end with the test, whatever
// becomes of it. What has no namespace, their cgroups and their folder, the test removes.
//
// It runs without a scheduler, a controller and DNS: the test makes pods of the workloads' templates, binds them to the node, and
// replaces the Service by a line in their hosts files.
package kubelet
