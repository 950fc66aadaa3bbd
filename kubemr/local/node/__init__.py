"""The local node: what Kubernetes' Job controller and kubelet do for kubemr's workers, on this machine.

`node` is the loop; `indexed` decides which pods a Job needs; `pod` describes them; `environment` gives a container its
variables.  All of it speaks to the apiserver as any client does.
"""
