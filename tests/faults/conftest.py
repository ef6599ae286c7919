from tests.store.making import without_fsync as without_fsync
