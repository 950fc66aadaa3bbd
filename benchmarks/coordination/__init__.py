"""What coordination costs: jobs of empty tasks on a real etcd and kube-apiserver, beside what else one might pick."""
