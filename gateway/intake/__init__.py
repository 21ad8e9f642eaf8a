"""The doors: mail (smtp.py), webhooks (webhook.py) and the admin's commands (control.py)."""
