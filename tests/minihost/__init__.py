"""A Functions host in miniature: runs the app under Microsoft's own Python engine, without `func`.

    python -m tests.minihost --app . --check        index it; print functions and problems as JSON
    python -m tests.minihost --app . --serve 0      serve it until standard input closes

Real: indexing, binding checks, argument conversion, thread pool and invocation are Microsoft's
`azure-functions-runtime`, which is what Azure executes from Python 3.13 on. Ours: the gRPC messages (`wire`),
the worker's transport shell (`shim`), and of the host only what this app needs: host.json and binding checks
(`app`), first-match routing by function name (`routes`), trigger payloads (`payloads`), HTTP (`front`).

Not here: the extension bundle, hence no Service Bus listener, lock renewal or settlement; timers are fired by hand.
A green run is evidence for the Python half of a deployment, not for the Azure resources around it.
"""
