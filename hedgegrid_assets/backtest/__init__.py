"""From a catalog to a backtest whose funding is paid, and to a report of it; the engine runs in a process of its own."""
