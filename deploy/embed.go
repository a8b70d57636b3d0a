// Package deploy has the manifests of Flink clusters as files. The platform builds the objects of a run from them, as "kubectl apply -k" does.
package deploy

import "embed"

// Files are the folders that the clusters of the platform are made of.
//
//go:embed base bounded streaming components platform
var Files embed.FS
