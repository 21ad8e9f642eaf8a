-- A sender who vouches enters a grant with each mail: thousands for a phone, of which the newest says what all say.

-- What persons, providers and the configuration entered, by the phone.
CREATE INDEX consent_said ON consent (phone, seq)
  WHERE action <> 'grant' OR method <> 'job_system' OR klass <> 'informational';

-- The newest of the others for each brand.
CREATE INDEX consent_vouched ON consent (phone, brand, seq)
  WHERE action = 'grant' AND method = 'job_system' AND klass = 'informational';
