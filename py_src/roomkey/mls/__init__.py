"""The MLS engine (RFC 9420): groups as values, bytes in and out; the host's cryptography is handed in.

    key_package, leaf_node       what a client publishes       `make_key_package`, `own_capabilities`
    creation, joining, external  ways into a group             `create_group`, `join`, `external_commit`
    group                        a member's view of it         `Group`, `JoinKeys`, `OwnKeys`
    committing, processing       changes and messages          `commit`, `propose`, `process`, `protect`
    successor, policy            what follows, what is taken   `branch_group`, `reinit_group`, `policy_extension`
    state                        storing and loading           `encode_group`, `decode_group`

On CPython, in an asynchronous function, with `suite = crypto.suites.suite_by_number(1)` (0xF0C1: the post-quantum one):

    crypto = NativeCrypto()
    keys = []
    for name in (b"alice", b"bob"):
        (signature,) = await crypto.generate_keys(suite.scheme, 1)
        init, encryption = await crypto.generate_keys(suite.group, 2)
        package = await make_key_package(
            crypto, suite, Credential.basic(name), signature, init, encryption,
            Lifetime(now - 60, now + 86400), own_capabilities([suite.number]),
        )
        keys.append(JoinKeys(package, init, OwnKeys(signature, encryption)))
    alice = await create_group(crypto, keys[0], group_id, now)
    made = await commit(crypto, alice, now, proposals=[proposal(Add(keys[1].key_package))])
    alice = made.group  # once the service has taken made.message; else made.current
    bob = (await join(crypto, made.welcome, [keys[1]])).group
    alice, sent = await protect(crypto, alice, b"hello")
    taken = await process(crypto, bob, sent)
    bob, event = taken.group, taken.event  # event.data is b"hello"

Names of members are the caller's to prove: each call says what it still owes.
"""
