module kubemr.local/cluster/pause

go 1.26.0
