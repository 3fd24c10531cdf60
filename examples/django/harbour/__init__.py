"""Little Harbour as a bare Django project: one page, one model, no admin and no session."""
