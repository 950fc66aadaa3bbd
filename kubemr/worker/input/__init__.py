"""Read what user code gets: records, map outputs of a partition, inputs of a split plan."""
