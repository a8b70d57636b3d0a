// Package deploy builds the manifests of deploy/ as a user would (kustomize), checks them against the schemas of Kubernetes
// versions, holds them against the code, and runs their pods in podman.
package deploy
