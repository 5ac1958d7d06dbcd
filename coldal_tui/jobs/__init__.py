"""The contract between a project and a worker: specification, folder, receipt, backend protocol."""
