"""What `penstock.client.Client` does about errors; `penstock.error_tracking` does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from asyncio import AbstractEventLoop
    from typing import Unpack

    from penstock.error_tracking import ExceptionOptions
    from penstock.error_tracking.logging_handler import ExceptionLogHandler
    from penstock.error_tracking.tracker import Tracker


class Capturing:
    """
    The client's calls about errors; part of `penstock.client.Client`.

    Nothing of error tracking is imported before one of them is made.
    """

    def capture_exception(
        self, error: object = None, **options: Unpack[ExceptionOptions]
    ) -> str | None:
        """
        Capture an error with its causes, its stack and the facts around it. Never raises.

        Args:
            error: An exception, what `sys.exc_info` returns, or anything else that tells what
                went wrong; the exception that is being handled when left out.
            options: See `penstock.error_tracking.ExceptionOptions`.

        Returns:
            The event's id, to be shown on an error page; that of the first event where the same
            error was captured before. None where none was captured: the client is disabled or
            closed, the error is ignored, or no destination takes errors.

        .. versionadded:: 0.1
        """
        return self.error_tracker.capture(error, options)

    def install_exception_hooks(
        self,
        *,
        sys: bool = True,
        threading: bool = True,
        asyncio: bool = False,
        unraisable: bool = False,
        interactive: bool = False,
    ) -> None:
        """
        Capture errors that nobody catches; what was there before is called afterwards.

        Args:
            sys: Errors that end the program: `sys.excepthook`.
            threading: Errors that end a thread: `threading.excepthook`.
            asyncio: Errors in the running event loop; see `install_asyncio`.
            unraisable: Errors in finalisers: `sys.unraisablehook`.
            interactive: Also at an interactive prompt.

        A second call adds what the first left out. `close` takes the hooks out again.

        Raises:
            RuntimeError: *asyncio* is asked for, and no event loop runs.

        .. versionadded:: 0.1
        """
        from penstock.error_tracking import hooks

        places = {hooks.SYS: sys, hooks.THREADING: threading, hooks.UNRAISABLE: unraisable}
        for place, wanted in places.items():
            if wanted:
                self.error_tracker.hook(place, interactive=interactive)
        if asyncio:
            self.install_asyncio()

    def install_asyncio(self, loop: AbstractEventLoop | None = None) -> None:
        """
        Capture errors of an event loop's callbacks, and of tasks whose result nobody asked for.

        Args:
            loop: The one that runs by default.

        Raises:
            RuntimeError: No loop is given, and none runs.

        .. versionadded:: 0.1
        """
        from penstock.error_tracking.loops import install

        install(loop, self.error_tracker)

    def install_logging(
        self, logger: logging.Logger | str | None = None, level: int | str = 40, **options: Any
    ) -> ExceptionLogHandler:
        """
        Capture what is logged from a level on.

        Args:
            logger: To whose handlers one is added; the root logger by default.
            level: `logging.ERROR` by default.
            options: See `penstock.error_tracking.logging_handler.ExceptionLogHandler`.

        Returns:
            The handler. `close` takes it out again.

        .. versionadded:: 0.1
        """
        import logging

        from penstock.error_tracking.logging_handler import ExceptionLogHandler

        handler = ExceptionLogHandler(self, level, **options)  # type: ignore[arg-type]
        named = logger is None or isinstance(logger, str)
        handler.attach(logging.getLogger(logger) if named else logger)  # type: ignore[arg-type]
        self.error_tracker.keep(handler)
        return handler

    def add_step(self, message: str, **properties: Any) -> None:
        """
        Remember what happened, to be told with an error that may follow. Never raises.

        Args:
            message: What happened, as in ``"cart loaded"``.
            properties: Facts of it.

        The last 100 steps of a request are kept; outside of requests, of a thread or task.

        .. versionadded:: 0.1
        """
        self.error_tracker.step(message, properties)

    @property
    def error_tracker(self) -> Tracker:
        """What integrations capture with."""
        found: Tracker | None = self.__dict__.get("_error_tracker")
        if found is None:
            from penstock.error_tracking.tracker import Tracker

            client: Any = self
            made = Tracker(client, lambda: client._log, lambda: client._write is not None)  # noqa: SLF001 - of the client this is part of
            found = self.__dict__.setdefault("_error_tracker", made)
        return found

    def _error_counts(self) -> dict[str, int]:
        """What became of the errors that were brought, for `Client.ledger`."""
        found: Tracker | None = self.__dict__.get("_error_tracker")
        return {} if found is None else found.counts()

    def _close_error_tracking(self) -> None:
        """Take out every hook and handler, for `Client.close`."""
        found: Tracker | None = self.__dict__.get("_error_tracker")
        if found is not None:
            found.close()
