"""The local node does for workers on this machine what Kubernetes' Job controller and kubelet do.

- `node`: the loop
- `indexed_job`: decides which pods a Job needs
- `pod`: the Pod objects
- `container_env`: the variables and the command of a container

The node uses the apiserver as any client does.
"""
