"""Operations on whole jobs (snapshot, seal, finish, fail) as generators free of I/O, for workers and the operator."""
